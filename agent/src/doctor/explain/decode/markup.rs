//! Colours of terminals and the tags of web pages.

/// Tags that begin a new line.
const BLOCKS: &[&str] = &[
    "br",
    "p",
    "div",
    "li",
    "ul",
    "ol",
    "tr",
    "td",
    "th",
    "table",
    "pre",
    "hr",
    "blockquote",
    "h1",
    "h2",
    "h3",
    "h4",
    "body",
    "html",
];
/// Tags that stand within a line.
const INLINE: &[&str] =
    &["span", "code", "b", "i", "em", "strong", "a", "font", "kbd", "samp", "mark", "tt", "small", "u", "nobr"];
/// A longer tag is none.
const LONGEST_TAG: usize = 400;
/// A longer title of a terminal is none.
const LONGEST_TITLE: usize = 300;

/// Takes escape sequences away: with the character itself, as caret or picture of it, and those that have lost it.
pub(super) fn without_colours(text: &str) -> String {
    if !text.contains(['\u{1b}', '[', '␛', '\u{9b}']) {
        return text.to_owned();
    }
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(['\u{1b}', '^', '[', '␛', '\u{9b}']) {
        let (before, behind) = rest.split_at(at);
        plain.push_str(before);
        rest = behind;
        let introduced = ["\u{1b}", "^[", "␛", "\\e"]
            .iter()
            .find_map(|mark| behind.strip_prefix(mark))
            .filter(|behind| !rest.starts_with('^') || behind.starts_with('['));
        let after = match introduced {
            Some(behind) if behind.starts_with('[') => behind.get(1..).map(sequence),
            Some(behind) if behind.starts_with(']') => Some(title(behind)),
            Some(behind) => Some(behind),
            None if behind.starts_with('\u{9b}') => behind.get('\u{9b}'.len_utf8()..).map(sequence),
            None => orphan(behind),
        };
        match after {
            Some(after) => rest = after,
            None => {
                let first = rest.chars().next().unwrap_or(' ');
                plain.push(first);
                rest = rest.get(first.len_utf8()..).unwrap_or_default();
            }
        }
    }
    plain.push_str(rest);
    plain
}

/// What follows the parameters and the final character of a sequence.
fn sequence(text: &str) -> &str {
    let end = text.find(|c: char| !matches!(c, ' '..='?')).unwrap_or(text.len());
    let rest = text.get(end..).unwrap_or_default();
    rest.strip_prefix(|c: char| matches!(c, '@'..='~')).unwrap_or(rest)
}

/// What follows the title of a terminal.
fn title(text: &str) -> &str {
    let end = text.char_indices().take(LONGEST_TITLE).find(|(_, c)| *c == '\u{7}' || *c == '\u{1b}');
    match end {
        Some((end, '\u{7}')) => text.get(end + 1..).unwrap_or_default(),
        Some((end, _)) => text.get(end..).map(|rest| rest.strip_prefix("\u{1b}\\").unwrap_or(rest)).unwrap_or_default(),
        None => text.get(1..).unwrap_or_default(),
    }
}

/// What follows `[1;31m` whose escape character was lost.
fn orphan(text: &str) -> Option<&str> {
    let rest = text.strip_prefix('[')?;
    let end = rest.bytes().take(12).take_while(|byte| byte.is_ascii_digit() || *byte == b';').count();
    let after = rest.get(end..)?.strip_prefix('m')?;
    (end > 0 && !after.starts_with(']')).then_some(after)
}

/// Takes the tags of web pages away. Those of answers of AWS begin with a capital, and stay.
pub(super) fn without_tags(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('<') {
        let (before, behind) = rest.split_at(at);
        plain.push_str(before);
        let inside = behind.get(1..).unwrap_or_default();
        match tag(inside) {
            Some((name, after)) => {
                if BLOCKS.contains(&name) {
                    plain.push('\n');
                }
                rest = after;
            }
            None => {
                plain.push('<');
                rest = inside;
            }
        }
    }
    plain.push_str(rest);
    plain
}

/// The name of a tag that is known, and what follows it.
fn tag(text: &str) -> Option<(&str, &str)> {
    let text = text.strip_prefix('/').unwrap_or(text);
    let end = text.bytes().take(11).position(|byte| !byte.is_ascii_lowercase() && !byte.is_ascii_digit())?;
    let name = text.get(..end)?;
    let rest = text.get(end..)?;
    let is_known = BLOCKS.contains(&name) || INLINE.contains(&name);
    if !is_known || !rest.starts_with(['>', ' ', '/', '\n']) {
        return None;
    }
    let close = rest.bytes().take(LONGEST_TAG).position(|byte| byte == b'>')?;
    Some((name, rest.get(close + 1..)?))
}
