//! A command line of Windows, which is one text, as the arguments that a program makes of it.

/// The arguments of a command line, `most` of them at most, and whether these are all. Programs split it as
/// `CommandLineToArgvW` does, as its documentation has it, and as the C library of Microsoft does, which takes two quotes
/// within quotes for one.
pub fn split(line: &str, most: usize) -> (Vec<String>, bool) {
    let mut arguments = Vec::new();
    let mut rest = line;
    if !line.is_empty() {
        // The program is named without any backslash that would mean another.
        let (program, behind) = match line.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"').unwrap_or((quoted, "")),
            None => line.split_at(line.find([' ', '\t']).unwrap_or(line.len())),
        };
        arguments.push(program.to_owned());
        rest = behind;
    }
    loop {
        rest = rest.trim_start_matches([' ', '\t']);
        if rest.is_empty() {
            return (arguments, true);
        }
        if arguments.len() >= most {
            return (arguments, false);
        }
        let (argument, behind) = next(rest);
        arguments.push(argument);
        rest = behind;
    }
}

/// The argument at the beginning of a text, and what stands behind it.
fn next(text: &str) -> (String, &str) {
    let (mut argument, mut is_quoted, mut backslashes) = (String::new(), false, 0_usize);
    let mut characters = text.char_indices().peekable();
    while let Some((at, character)) = characters.next() {
        match character {
            '\\' => {
                backslashes += 1;
                continue;
            }
            '"' => {
                // Two backslashes before a quote are one, and one makes it a character like any other.
                argument.extend(std::iter::repeat_n('\\', backslashes / 2));
                if backslashes % 2 == 1 {
                    argument.push('"');
                } else if is_quoted && characters.peek().is_some_and(|(_, next)| *next == '"') {
                    argument.push('"');
                    characters.next();
                } else {
                    is_quoted = !is_quoted;
                }
            }
            character => {
                argument.extend(std::iter::repeat_n('\\', backslashes));
                if !is_quoted && matches!(character, ' ' | '\t') {
                    return (argument, text.get(at..).unwrap_or_default());
                }
                argument.push(character);
            }
        }
        backslashes = 0;
    }
    argument.extend(std::iter::repeat_n('\\', backslashes));
    (argument, "")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_command_line_is_split_as_windows_does() {
        for (line, arguments) in [
            ("", vec![]),
            (
                r#""C:\Program Files\java.exe" -jar "a b.jar" x"#,
                vec![r"C:\Program Files\java.exe", "-jar", "a b.jar", "x"],
            ),
            (r"C:\a\node.exe   app.js", vec![r"C:\a\node.exe", "app.js"]),
            (r#"a "b\\" c"#, vec!["a", r"b\", "c"]),
            (r#"a b\"c "d e""#, vec!["a", r#"b"c"#, "d e"]),
            (r#"a \\\\"b c" \\d"#, vec!["a", r"\\b c", r"\\d"]),
            (r#"a "b""c" d"#, vec!["a", r#"b"c"#, "d"]),
            (r#"a "" b"#, vec!["a", "", "b"]),
            (r#"a "b c"#, vec!["a", "b c"]),
            ("a\tb \\", vec!["a", "b", "\\"]),
            (r#""a"#, vec!["a"]),
            (" a", vec!["", "a"]),
        ] {
            assert_eq!(split(line, 100), (arguments.into_iter().map(str::to_owned).collect(), true), "{line}");
        }
        assert_eq!(split("a b c", 2), (vec!["a".to_owned(), "b".to_owned()], false));
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic_and_none_grows(line in r#"[a"\\ \té]{0,60}"#) {
            let (arguments, _) = split(&line, 8);
            prop_assert!(arguments.len() <= 8);
            prop_assert!(arguments.iter().map(String::len).sum::<usize>() <= line.len());
        }

        #[test]
        fn what_is_quoted_comes_back(argument in r#"[a-c é]{0,20}"#, other in r"[a-c\\]{1,9}[a-c]") {
            let line = format!(r#"x "{argument}" {other}"#);
            prop_assert_eq!(split(&line, 9).0, vec!["x".to_owned(), argument, other]);
        }
    }
}
