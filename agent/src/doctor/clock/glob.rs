//! Patterns of file names as glob(7) has them.

/// Whether a name is what a pattern means. A period at its beginning is meant by a period alone.
pub(super) fn matches(pattern: &str, name: &str) -> bool {
    if name.starts_with('.') && !pattern.starts_with('.') {
        return false;
    }
    let (pattern, name): (Vec<char>, Vec<char>) = (pattern.chars().collect(), name.chars().collect());
    let (mut at, mut seen) = (0, 0);
    // Where to go on if what follows the last star does not fit.
    let mut star = None;
    loop {
        let fits = match pattern.get(at) {
            Some('*') => {
                star = Some((at + 1, seen));
                at += 1;
                continue;
            }
            None if seen == name.len() => return true,
            None => None,
            Some(_) => name.get(seen).and_then(|c| one(pattern.get(at..)?, *c)),
        };
        match (fits, star) {
            (Some(length), _) => (at, seen) = (at + length, seen + 1),
            (None, Some((behind, from))) if from < name.len() => {
                star = Some((behind, from + 1));
                (at, seen) = (behind, from + 1);
            }
            (None, _) => return false,
        }
    }
}

/// How long the beginning of a pattern is that means this one character; `None` where it does not.
fn one(pattern: &[char], c: char) -> Option<usize> {
    match pattern {
        ['?', ..] => Some(1),
        ['\\', escaped, ..] => (*escaped == c).then_some(2),
        ['[', rest @ ..] => match class(rest, c) {
            Some((true, length)) => Some(length + 1),
            Some((false, _)) => None,
            None => (c == '[').then_some(1),
        },
        [plain, ..] => (*plain == c).then_some(1),
        [] => None,
    }
}

/// Whether a class of characters has this one, and how long it is with its closing bracket; `None` where it is not closed.
fn class(pattern: &[char], c: char) -> Option<(bool, usize)> {
    let is_not = matches!(pattern.first(), Some('!' | '^'));
    let start = usize::from(is_not);
    // A bracket at the beginning is one of the class.
    let end = (start + 1..pattern.len()).find(|at| pattern.get(*at) == Some(&']'))?;
    let mut members = pattern.get(start..end)?;
    let mut is_in = false;
    while let [first, rest @ ..] = members {
        members = match rest {
            ['-', last, more @ ..] => {
                is_in |= (*first..=*last).contains(&c);
                more
            }
            _ => {
                is_in |= *first == c;
                rest
            }
        };
    }
    Some((is_in != is_not, end + 1))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_pattern_matches_as_in_a_shell() {
        for (pattern, name, expected) in [
            ("*.conf", "a.conf", true),
            ("*.conf", ".conf", false),
            (".*", ".conf", true),
            ("*.conf", "a.conf~", false),
            ("a*b*c", "a--b--c", true),
            ("a*b*c", "abc", true),
            ("a*b*c", "ac", false),
            ("a*a", "a", false),
            ("plain", "plain", true),
            ("**", "", true),
            ("[0-9][0-9]-*.conf", "10-a.conf", true),
            ("[0-9][0-9]-*.conf", "1-a.conf", false),
            ("[!a]?", "bc", true),
            ("[^a]?", "ac", false),
            ("[]a]", "]", true),
            ("[a", "[a", true),
            ("\\*", "*", true),
        ] {
            assert_eq!(matches(pattern, name), expected, "{pattern} {name}");
        }
    }

    proptest! {
        #[test]
        fn no_pattern_makes_it_panic_or_wait(pattern in "[*?\\[\\]a\\\\!-]{0,40}", name in "[ab\\]]{0,60}") {
            matches(&pattern, &name);
        }
    }
}
