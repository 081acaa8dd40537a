//! Text that others can write, for output.

/// The longest text that is shown, in characters.
const LONGEST: usize = 128;

/// A text without what could steer a terminal or turn a line around, and no longer than 128 characters.
pub(super) fn shown(text: &str) -> String {
    text.trim().chars().map(|c| if is_harmless(c) { c } else { '\u{fffd}' }).take(LONGEST).collect()
}

fn is_harmless(c: char) -> bool {
    let turns = matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}');
    !c.is_control() && !turns
}

/// Several of them, with commas in between.
pub(super) fn listed<T: AsRef<str>>(texts: impl IntoIterator<Item = T>) -> String {
    const MOST: usize = 8;
    let mut texts: Vec<String> = texts.into_iter().take(MOST + 1).map(|text| shown(text.as_ref())).collect();
    if texts.len() > MOST {
        texts.truncate(MOST);
        texts.push("…".to_owned());
    }
    texts.join(", ")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_steers_a_terminal_is_replaced() {
        assert_eq!(shown(" a\u{1b}[2Jb\u{202e}c\r\n"), "a\u{fffd}[2Jb\u{fffd}c");
        assert_eq!(listed(["a"; 20]), "a, a, a, a, a, a, a, a, …");
    }

    proptest! {
        #[test]
        fn no_text_is_shown_with_control_characters_or_longer_than_a_line(text in any::<String>()) {
            let shown = shown(&text);
            prop_assert!(shown.chars().count() <= LONGEST);
            prop_assert!(!shown.contains(char::is_control));
        }
    }
}
