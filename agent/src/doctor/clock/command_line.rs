//! The command line of a daemon, as getopt(3) reads it.

/// The options of a command line, and what else it names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct CommandLine {
    options: Vec<(String, Option<String>)>,
    operands: Vec<String>,
}

impl CommandLine {
    /// Reads the arguments behind the first. `with_value` are the letters of the options that take a value; long ones take
    /// it behind a sign of equality, and those of `long_with_value` from the next argument as well.
    pub(super) fn read(arguments: &[String], with_value: &str, long_with_value: &[&str]) -> Self {
        let mut own = Self::default();
        let mut rest = arguments.iter().skip(1).filter(|argument| !argument.is_empty());
        while let Some(argument) = rest.next() {
            if argument == "--" {
                own.operands.extend(rest.cloned());
                break;
            }
            if let Some(long) = argument.strip_prefix("--") {
                let (name, value) = long.split_once('=').map_or((long, None), |(name, value)| (name, Some(value)));
                let takes_next = value.is_none() && long_with_value.contains(&name);
                let value = if takes_next { rest.next().cloned() } else { value.map(str::to_owned) };
                own.options.push((name.to_owned(), value));
                continue;
            }
            let Some(letters) = argument.strip_prefix('-').filter(|letters| !letters.is_empty()) else {
                own.operands.push(argument.clone());
                continue;
            };
            for (index, letter) in letters.char_indices() {
                if with_value.contains(letter) {
                    let joined = letters.get(index + letter.len_utf8()..).filter(|value| !value.is_empty());
                    let value = joined.map(str::to_owned).or_else(|| rest.next().cloned());
                    own.options.push((letter.to_string(), value));
                    break;
                }
                own.options.push((letter.to_string(), None));
            }
        }
        own
    }

    /// Whether it has an option.
    pub(super) fn has(&self, option: &str) -> bool {
        self.options.iter().any(|(own, _)| own == option)
    }

    /// The values of an option, which may be given more than once.
    pub(super) fn values(&self, option: &str) -> impl Iterator<Item = &str> {
        self.options.iter().filter(move |(own, _)| own == option).filter_map(|(_, value)| value.as_deref())
    }

    /// The value of an option, the last where there are several.
    pub(super) fn value(&self, option: &str) -> Option<&str> {
        let mut given = self.options.iter().rev().filter(|(own, _)| own == option);
        given.find_map(|(_, value)| value.as_deref())
    }

    /// What it names beside options.
    pub(super) fn operands(&self) -> &[String] {
        &self.operands
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_and_operands_are_told_apart() {
        let line: Vec<String> = ["d", "-dfx", "--config", "y", "a b", "-p", "1", "-p2", "--z=3", "-", "--", "-q"]
            .map(str::to_owned)
            .to_vec();
        let read = CommandLine::read(&line, "fp", &["config"]);
        assert!(read.has("d") && !read.has("q"));
        assert_eq!((read.value("f"), read.value("config"), read.value("z")), (Some("x"), Some("y"), Some("3")));
        assert_eq!(read.values("p").collect::<Vec<_>>(), ["1", "2"]);
        assert_eq!(read.operands(), ["a b", "-", "-q"]);
        assert_eq!(CommandLine::read(&["d".to_owned(), "--config".to_owned()], "", &["config"]).value("config"), None);
    }
}
