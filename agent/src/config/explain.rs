//! The one error of the configuration: what is wrong, where, and the line with a caret under the place.

use std::fmt;
use std::path::{Path as FilePath, PathBuf};

use crate::notify::targets::AnyTarget;
use crate::setting::locate::{Position, lines};
use crate::setting::period::is_like_one;
use crate::setting::secret::SecretRef;

/// How many characters of a line are shown.
const WIDTH: usize = 120;

/// How many columns a tab is wide.
const TAB: &str = "    ";

/// The sections in which no secret is ever written.
const PUBLIC_SECTIONS: [&str; 9] =
    ["sources", "vmclock", "credentials", "sdks", "limits", "alerts", "state_dir", "queue", "socket"];

/// The keys whose value is no secret wherever they stand.
const PUBLIC_KEYS: [&str; 2] = ["name", "enabled"];

/// The configuration cannot be used. Its text says what is wrong, where, and what is allowed; it ends without a newline
/// and never holds a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    message: String,
    place: Option<Place>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Place {
    file: PathBuf,
    excerpt: Option<Excerpt>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Excerpt {
    position: Position,
    /// The line as it is shown, and the column of the caret in it, from 0.
    shown: String,
    caret: usize,
}

impl ConfigError {
    /// An error that no file is to blame for, such as an environment variable.
    pub(super) fn nowhere(message: String) -> Self {
        Self { message, place: None }
    }

    /// An error of a whole file.
    pub(super) fn of_file(message: String, file: &FilePath) -> Self {
        Self { message, place: Some(Place { file: file.into(), excerpt: None }) }
    }

    /// An error at a place in a file whose content is `text`.
    pub(super) fn at(message: String, file: &FilePath, text: &str, position: Option<Position>) -> Self {
        let excerpt = position.map(|position| Excerpt::new(text, position));
        Self { message, place: Some(Place { file: file.into(), excerpt }) }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "error: {}", self.message)?;
        let Some(Place { file, excerpt }) = &self.place else { return Ok(()) };
        let Some(Excerpt { position: Position { line, column }, shown, caret }) = excerpt else {
            return write!(f, "\n --> {}", file.display());
        };
        let number = line.to_string();
        let gutter = " ".repeat(number.len());
        write!(f, "\n{gutter}--> {}:{line}:{column}\n{gutter} |\n{number} |", file.display())?;
        if !shown.is_empty() {
            write!(f, " {shown}")?;
        }
        write!(f, "\n{gutter} | {}^", " ".repeat(*caret))
    }
}

impl std::error::Error for ConfigError {}

impl Excerpt {
    fn new(text: &str, position: Position) -> Self {
        let lines = lines(text);
        let position = within(&lines, position);
        let number = position.line.saturating_sub(1);
        let line = lines.get(number).copied().unwrap_or_default();
        let public = is_public(lines.get(..=number).unwrap_or(&lines));
        let (visible, hidden) = if public { (line, "") } else { redact(line) };
        let before = position.column.saturating_sub(1).min(visible.chars().count());
        // Of a very long line, only what is around the place.
        let skipped = before.saturating_sub(WIDTH / 2);
        let skipped = if skipped > 0 && visible.chars().count() > WIDTH { skipped } else { 0 };
        let mut shown = String::from(if skipped > 0 { "…" } else { "" });
        let mut caret = shown.chars().count();
        for (column, c) in visible.chars().enumerate().skip(skipped).take(WIDTH) {
            let from = shown.len();
            match c {
                '\t' => shown.push_str(TAB),
                c if c.is_control() => shown.push(char::REPLACEMENT_CHARACTER),
                c => shown.push(c),
            }
            if column < before {
                caret += shown.get(from..).map_or(0, |added| added.chars().count());
            }
        }
        if visible.chars().count() > skipped + WIDTH {
            shown.push('…');
        }
        shown.push_str(hidden);
        Self { position, shown, caret }
    }
}

/// The place itself, or the end of the text or of the line where it lies behind that: to the parser every text ends with
/// a line break, whether it is written or not.
fn within(lines: &[&str], position: Position) -> Position {
    let end = |line: usize| lines.get(line - 1).map_or(0, |line| line.chars().count()) + 1;
    let line = position.line.clamp(1, lines.len().max(1));
    let column = if line < position.line { end(line) } else { position.column.clamp(1, end(line)) };
    Position { line, column }
}

/// Whether the last of the lines may be shown as it is: it belongs to a section in which no secret is written.
fn is_public(lines: &[&str]) -> bool {
    // What follows user information in a URL is preceded by its password, and a query may hold a token.
    if lines.last().is_some_and(|line| line.contains('@') || line.contains("://") && line.contains('?')) {
        return false;
    }
    // Comments are in no section, and the elements of a list may stand at the very left.
    let mut upwards = lines.iter().rev();
    match upwards.find(|line| !line.is_empty() && !line.starts_with([' ', '\t', '#', '-'])) {
        Some(line) => PUBLIC_SECTIONS.contains(&line.split(':').next().unwrap_or_default()),
        None => lines.iter().all(|line| line.trim_start().is_empty() || line.trim_start().starts_with('#')),
    }
}

/// Splits a line into what may be shown and what stands in the place of the rest: a value is hidden unless it is a
/// reference to a secret or belongs to a key that has none, and looks like what belongs there.
fn redact(line: &str) -> (&str, &str) {
    let indent = line.len() - line.trim_start_matches([' ', '\t', '-']).len();
    let rest = line.get(indent..).unwrap_or_default();
    let (key, value) = rest.split_once(':').map_or((rest, None), |(key, value)| (key, Some(value)));
    // No punctuation, which may be the end of this value and the beginning of another.
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b" ._-\"'".contains(&byte);
    let plain = !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
    let Some(value) = value.filter(|value| plain && (value.is_empty() || value.starts_with(' '))) else {
        let empty = rest.is_empty() || rest.starts_with('#');
        return (line.get(..indent).unwrap_or_default(), if empty { "" } else { "***" });
    };
    let bare = value.trim().trim_matches(['"', '\'']);
    let public = match key {
        "severity" | "alerts" => value.bytes().all(|byte| byte.is_ascii_lowercase() || b" ,-[]".contains(&byte)),
        "interval" | "timeout" => is_like_one(bare),
        _ if AnyTarget::is_public(key, bare) => true,
        _ => PUBLIC_KEYS.contains(&key) && value.bytes().all(is_plain),
    };
    if bare.is_empty() || public || SecretRef::parse(bare).is_some() && !bare.contains(' ') {
        return (line, "");
    }
    let start = line.len() - value.trim_start().len();
    (line.get(..start).unwrap_or_default(), "***")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str, line: usize, column: usize) -> String {
        ConfigError::at("wrong".into(), FilePath::new("a.yaml"), text, Some(Position { line, column })).to_string()
    }

    #[test]
    fn the_caret_stands_under_the_character_whatever_is_before_it() {
        assert_eq!(shown("sdks: é\tx", 1, 9), "error: wrong\n --> a.yaml:1:9\n  |\n1 | sdks: é    x\n  |            ^");
        assert_eq!(
            shown("sdks: \u{1b}[x", 1, 8),
            "error: wrong\n --> a.yaml:1:8\n  |\n1 | sdks: \u{fffd}[x\n  |        ^"
        );
    }

    #[test]
    fn the_gutter_is_as_wide_as_the_number() {
        let text = "sources:\n".repeat(100);
        assert_eq!(shown(&text, 100, 1), "error: wrong\n   --> a.yaml:100:1\n    |\n100 | sources:\n    | ^");
    }

    #[test]
    fn a_place_behind_the_end_is_shown_at_the_end() {
        assert_eq!(shown("sdks:", 1, 99), "error: wrong\n --> a.yaml:1:6\n  |\n1 | sdks:\n  |      ^");
        assert_eq!(shown("sdks:", 2, 1), "error: wrong\n --> a.yaml:1:6\n  |\n1 | sdks:\n  |      ^");
        assert_eq!(shown("sdks:\n", 2, 1), "error: wrong\n --> a.yaml:2:1\n  |\n2 |\n  | ^");
    }

    #[test]
    fn of_a_long_line_the_middle_is_shown() {
        let text = format!("sdks: [{}!{}]", "a".repeat(300), "b".repeat(300));
        let expected = format!(
            "error: wrong\n --> a.yaml:1:308\n  |\n1 | …{}!{}…\n  | {}^",
            "a".repeat(60),
            "b".repeat(59),
            " ".repeat(61)
        );
        assert_eq!(shown(&text, 1, 308), expected);
    }

    #[test]
    fn only_what_cannot_be_secret_is_shown() {
        for (line, visible) in [
            ("  - name: ops", "  - name: ops"),
            ("    secret: \"env:A\"", "    secret: \"env:A\""),
            ("    secret: env:A # hunter2", "    secret: ***"),
            ("    secret:hunter2", "    ***"),
            ("    - { secret: hunter2 }", "    - ***"),
            ("    name:    url: https://u:hunter2@ops.example", "    name:    ***"),
            ("    timeout: 5s, secret: hunter2 }", "    timeout: ***"),
            ("    timeout: hunter2", "    timeout: ***"),
            ("    repost: \"1m 30s\"", "    repost: \"1m 30s\""),
            ("    repost: hunter2", "    repost: ***"),
            ("    url: https://ops.example/hunter2", "    url: ***"),
            ("    hunter2", "    ***"),
            ("    webhook:", "    webhook:"),
            ("    severity: info", "    severity: info"),
            ("    severity: hunter2", "    severity: ***"),
            ("    alerts: [clock-skew, clock]", "    alerts: [clock-skew, clock]"),
            ("    alerts: hunter2", "    alerts: ***"),
            ("    alerts: [a], slack: { url: env:A }", "    alerts: ***"),
            ("    topic: arn:aws:sns:eu-west:1:a", "    topic: arn:aws:sns:eu-west:1:a"),
            ("    topic: arn:aws, secret: hunter2", "    topic: ***"),
            ("    bus: \"https://ops.example/hunter2\"", "    bus: ***"),
            ("", ""),
        ] {
            let (shown, hidden) = redact(line);
            assert_eq!(format!("{shown}{hidden}"), visible);
        }
        assert!(is_public(&["channels:", "sources:", "", "# text", "  - name: a"]));
        assert!(!is_public(&["sources:", "channels:", "- name: a", "  # text"]));
        assert!(!is_public(&["credentials:", "  endpoint: http://u:hunter2@h"]));
        assert!(!is_public(&["alerts:", "  runbooks: https://h/?token=hunter2"]));
        assert!(!is_public(&["{ sources: [] }"]));
    }
}
