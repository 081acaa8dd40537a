//! What the YAML parser says, in words for people who write a configuration, and without the values that it found: one
//! of them may be a secret.

use crate::notify::targets::{AnyTarget, WrittenChannel};
use crate::setting::locate::{Path, Position, lines, position};
use crate::setting::period::is_like_one;

/// What is wrong, and where.
pub(super) struct Reworded {
    pub(super) message: String,
    pub(super) position: Option<Position>,
}

/// The text is no YAML.
pub(super) fn syntax(error: &serde_yaml::Error, text: &str) -> Reworded {
    let position = position(error);
    if let Some(tab) = indenting_tab(text, position) {
        let message = "a tab cannot indent YAML: use spaces".to_owned();
        return Reworded { message, position: Some(tab) };
    }
    let said = without_places(&error.to_string());
    if said.contains("more than one document") {
        let message = "more than one document: a configuration is one document, so remove the line ---".to_owned();
        return Reworded { message, position: second_document(text) };
    }
    let message = format!("not valid YAML: {said}");
    Reworded { message, position }
}

/// The text is YAML, but no configuration.
pub(super) fn content(error: &serde_yaml::Error, text: &str) -> Reworded {
    let place = position(error);
    let said = error.to_string();
    let said = match place {
        Some(at) => said.strip_suffix(&format!(" at line {} column {}", at.line, at.column)).unwrap_or(&said),
        None => &said,
    };
    let (path, said) = split_path(said);
    let reworded = |message: String, position| {
        let message = if path.is_empty() { message } else { format!("{path}: {message}") };
        Reworded { message, position }
    };
    if let Some((key, allowed)) = said.strip_prefix("unknown field `").and_then(|rest| rest.rsplit_once("`, expected "))
    {
        return match target_of(path).filter(|_| WrittenChannel::COMMON.contains(&key)) {
            Some((channel, target)) => reworded(misplaced(key, channel, target), place),
            None => reworded(unknown("key", key, allowed), place),
        };
    }
    if let Some((name, allowed)) =
        said.strip_prefix("unknown variant `").and_then(|rest| rest.rsplit_once("`, expected "))
    {
        let what = match path.rsplit('.').next() {
            Some("severity") => "severity",
            Some("basis") => "basis",
            Some("detail") => "detail",
            Some(last) if last.starts_with("alerts[") => "alert",
            _ => "SDK",
        };
        // In a channel, all but a plain word may be a secret in the wrong place.
        let is_word = name.bytes().all(|byte| byte.is_ascii_alphabetic() || b"-_".contains(&byte));
        let name = if what == "SDK" || is_word { name } else { "" };
        return reworded(unknown(what, name, allowed), place);
    }
    if let Some(key) = said.strip_prefix("missing field `") {
        return reworded(format!("the key {} is missing", key.trim_end_matches('`')), place);
    }
    if let Some(key) = said.strip_prefix("duplicate field `") {
        let key = key.trim_end_matches('`');
        let again = Path::parse(path).name(key, 1).position(text);
        return reworded(format!("the key {key} is written twice: remove one"), again.or(place));
    }
    let typed = said.strip_prefix("invalid type: ").or_else(|| said.strip_prefix("invalid value: "));
    if let Some((found, expected)) = typed.and_then(|rest| rest.rsplit_once(", expected ")) {
        return reworded(format!("expected {}, found {}", wanted(expected), kind(found)), place);
    }
    let is_public = !path.starts_with("channels[") && !path.starts_with("telemetry");
    let hidden = [" is not a duration: ", " is negative: "].into_iter().find_map(|what| {
        let (text, remedy) = said.split_once(what)?;
        // It may be a secret in the wrong place.
        (!is_public && !is_like_one(text)).then(|| format!("this{what}{remedy}"))
    });
    reworded(hidden.unwrap_or_else(|| said.to_owned()), place)
}

/// The path with which the parser begins what it says, and the rest.
fn split_path(said: &str) -> (&str, &str) {
    const WITHOUT_PATH: [&str; 6] =
        ["unknown field `", "missing field `", "duplicate field `", "invalid type: ", "invalid value: ", "recursion"];
    if WITHOUT_PATH.iter().any(|start| said.starts_with(start)) {
        return ("", said);
    }
    said.split_once(": ").unwrap_or(("", said))
}

/// The channel and the key of its target to which a path leads.
fn target_of(path: &str) -> Option<(&str, &str)> {
    let (channel, key) = path.rsplit_once('.')?;
    (channel.starts_with("channels[") && AnyTarget::KEYS.contains(&key)).then_some((channel, key))
}

/// What is said of a key of every channel that stands in the target of one.
fn misplaced(key: &str, channel: &str, target: &str) -> String {
    format!("{key} is a key of the channel and not of its {target}: write it beside {target}, as {channel}.{key}")
}

fn unknown(what: &str, found: &str, allowed: &str) -> String {
    let allowed: Vec<&str> = allowed
        .trim_start_matches("one of ")
        .split([',', ' ', '`'])
        .filter(|key| !key.is_empty() && *key != "or")
        .collect();
    let nearest = allowed.iter().map(|key| (distance(found, key), *key)).min();
    let hint = match nearest {
        Some((distance, key)) if distance <= 1 + key.len() / 4 => format!("; did you mean {key}?"),
        _ => ":".to_owned(),
    };
    // Behind a character that no name has, there may be a value: without a blank after its colon it belongs to the key.
    let end = found.find(|c: char| !c.is_ascii_alphanumeric() && c != '-' && c != '_').unwrap_or(found.len());
    let (name, rest) = found.split_at(end.min(64));
    let space = if found.is_empty() { "" } else { " " };
    let rest = match rest.chars().next() {
        None => "",
        Some(':') => ":*** (a blank must follow the colon)",
        Some(_) => "***",
    };
    format!("unknown {what}{space}{name}{rest}{hint} allowed here are {}", allowed.join(", "))
}

fn wanted(expected: &str) -> &str {
    match expected {
        "a boolean" => "true or false",
        "a sequence" => "a list",
        "a string" => "a text",
        "i64" => "a whole number",
        other => other,
    }
}

fn kind(found: &str) -> &str {
    match found.split([' ', '`']).next() {
        Some("string") => "a text",
        Some("integer" | "floating") => "a number",
        Some("boolean") => "true or false",
        Some("sequence") => "a list",
        Some("map") => "a mapping",
        Some("unit" | "null") => "nothing",
        _ => "something else",
    }
}

/// The number of characters to insert, remove or replace to get from one word to the other (Levenshtein).
fn distance(from: &str, to: &str) -> usize {
    let mut row: Vec<usize> = (0..=to.chars().count()).collect();
    for (deleted, a) in from.chars().take(64).enumerate() {
        let mut diagonal = deleted;
        let mut left = deleted + 1;
        let mut next = vec![left];
        for (b, &above) in to.chars().zip(row.iter().skip(1)) {
            left = (above + 1).min(left + 1).min(diagonal + usize::from(a != b));
            diagonal = above;
            next.push(left);
        }
        row = next;
    }
    row.last().copied().unwrap_or(usize::MAX)
}

/// The parser's message without ` at line 3 column 1`, which the caller shows better.
fn without_places(said: &str) -> String {
    let mut parts = said.split(" at line ").flat_map(|part| part.split(" at position "));
    let mut clean = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        // What follows a place, if anything, begins with a comma.
        if let Some((_, rest)) = part.split_once(", ") {
            clean = clean + ", " + rest;
        }
    }
    clean
}

/// The first tab in the indentation of a line, up to the line of the error.
fn indenting_tab(text: &str, error: Option<Position>) -> Option<Position> {
    let last = error.map_or(usize::MAX, |position| position.line);
    lines(text).into_iter().take(last).enumerate().find_map(|(number, line)| {
        let column = line.chars().take_while(|c| c.is_whitespace()).position(|c| c == '\t')?;
        Some(Position { line: number + 1, column: column + 1 })
    })
}

/// The line which begins a second document.
fn second_document(text: &str) -> Option<Position> {
    let line = lines(text).iter().rposition(|line| line.starts_with("---"))?;
    Some(Position { line: line + 1, column: 1 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_distance_counts_edits() {
        for (from, to, edits) in [("poll", "poll", 0), ("pol", "poll", 1), ("pool", "poll", 1), ("", "ntp", 3)] {
            assert_eq!(distance(from, to), edits, "{from} {to}");
        }
    }

    #[test]
    fn a_tab_is_found_on_the_line_that_yaml_counts() {
        let (text, end) = ("# a\r#\u{85}sdks:\n \t- rust\n", Some(Position { line: 5, column: 1 }));
        assert_eq!(indenting_tab(text, end), Some(Position { line: 4, column: 2 }));
    }

    #[test]
    fn places_are_removed_from_what_the_parser_says() {
        assert_eq!(
            without_places(
                "did not find expected key at line 3 column 1, while parsing a block mapping at line 1 column 1"
            ),
            "did not find expected key, while parsing a block mapping"
        );
    }
}
