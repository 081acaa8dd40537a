//! The lines of a paste without what quotes, boxes and log viewers put around them, and joined again where a terminal or a
//! mail has wrapped them.

use std::ops::Range;

use super::decode::WRAP;
use super::stamp;

/// Narrower texts were not wrapped.
const NARROWEST: usize = 40;
/// Lines that begin with as many equal bytes are not one line.
const ALIKE: usize = 8;
/// What stands at the sides of a box.
const SIDES: [char; 9] = ['│', '┃', '║', '╷', '╵', '┆', '▌', '▏', '|'];

/// A line.
#[derive(Clone, Debug)]
pub(super) struct Line {
    /// Where it stands in the text.
    pub(super) range: Range<usize>,
    /// How many blanks it begins with.
    pub(super) indent: usize,
    /// Whether it stands in a box.
    pub(super) is_boxed: bool,
}

/// Lines, one after the other in one text.
pub(super) struct Lines {
    /// The text: lines that end in `\n` or [`WRAP`].
    pub(super) text: String,
    /// Each of them.
    pub(super) lines: Vec<Line>,
}

impl Lines {
    /// Takes a plain text apart.
    pub(super) fn of(plain: &str) -> Self {
        let mut text = String::with_capacity(plain.len() + 1);
        let mut lines: Vec<Line> = Vec::new();
        for line in plain.split('\n') {
            let (bare, indent, is_boxed) = bare(line);
            // A fence, or the last quotation mark of a string.
            let bare = if bare.chars().all(|c| matches!(c, '`' | '"' | '\'' | '~')) { "" } else { bare };
            let start = text.len();
            let mut was_blank = false;
            for c in bare.chars().filter(|c| *c != WRAP) {
                if c != ' ' || !was_blank {
                    text.push(c);
                }
                was_blank = c == ' ';
            }
            lines.push(Line { range: start..text.len(), indent, is_boxed });
            text.push('\n');
        }
        let mut wrapped = wrapped(&text, &lines);
        cut(&text, &lines, &mut wrapped);
        Self { text: with_wraps(text, &wrapped), lines: joined(lines, &wrapped) }
    }
}

/// What is in a line, how far it is indented, and whether it stands in a box.
fn bare(line: &str) -> (&str, usize, bool) {
    let (mut rest, mut indent, mut is_boxed) = (line, 0, false);
    loop {
        let trimmed = rest.trim_start_matches(' ');
        indent += rest.len() - trimmed.len();
        rest = trimmed;
        if let Some(inside) = rest.strip_prefix(SIDES) {
            (rest, indent, is_boxed) = (inside.strip_prefix(' ').unwrap_or(inside), 0, true);
        } else if let Some(quoted) = rest.strip_prefix('>').filter(|rest| !rest.starts_with('=')) {
            (rest, indent) = (quoted.strip_prefix(' ').unwrap_or(quoted), 0);
        } else if let Some(item) = ["* ", "• ", "# ", "! ", "E   "].iter().find_map(|mark| rest.strip_prefix(mark)) {
            rest = item;
        } else if let Some(behind) = behind_a_name(rest) {
            (rest, indent) = (behind, 0);
        } else {
            break;
        }
    }
    (rest.trim_end_matches(|c: char| c == ' ' || c == '\\' || SIDES.contains(&c)), indent, is_boxed)
}

/// What follows `web-1  | `, as those write it who follow several logs.
fn behind_a_name(line: &str) -> Option<&str> {
    let (name, rest) = line.split_once(" | ")?;
    let name = name.trim_end_matches(' ');
    let is_of_name = |c: char| c.is_ascii_alphanumeric() || "_-./[]".contains(c);
    (!name.is_empty() && name.len() <= 48 && name.chars().all(is_of_name)).then_some(rest)
}

/// Which lines go on in the next one. A wrapped paragraph has no line to which the next word would have fitted.
fn wrapped(text: &str, lines: &[Line]) -> Vec<bool> {
    let mut wrapped = vec![false; lines.len()];
    let of = |line: &Line| text.get(line.range.clone()).unwrap_or_default();
    let mut first = 0;
    while first < lines.len() {
        let paragraph = lines.get(first..).unwrap_or_default();
        let is_blank = paragraph.first().is_none_or(|line| line.range.is_empty());
        let length = paragraph
            .iter()
            .enumerate()
            .take_while(|(at, line)| {
                let previous = at.checked_sub(1).and_then(|at| paragraph.get(at)).map(of);
                !line.range.is_empty() && previous.is_none_or(|previous| !begins_anew(previous, of(line)))
            })
            .count();
        if is_blank || length < 2 {
            first += 1;
            continue;
        }
        let paragraph = paragraph.get(..length).unwrap_or_default();
        let widths: Vec<usize> = paragraph.iter().map(|line| of(line).chars().count() + line.indent).collect();
        let width = widths.iter().copied().max().unwrap_or_default();
        let (_, but_last) = widths.split_last().unwrap_or((&0, &[]));
        let are_alike = paragraph.windows(2).any(|pair| match pair {
            [line, next] => of(line).get(..ALIKE).is_some_and(|start| of(next).starts_with(start)),
            _ => false,
        });
        let is_cut = but_last.iter().all(|one| one + 1 >= width);
        let word = |line: &Line| of(line).split(' ').next().unwrap_or_default().chars().count();
        let is_filled = but_last.iter().zip(paragraph.iter().skip(1)).all(|(one, next)| one + 1 + word(next) > width);
        let is_told = length > 2 || paragraph.first().is_some_and(|line| is_unfinished(of(line)));
        if width >= NARROWEST && is_told && !are_alike && (is_cut || is_filled) {
            wrapped.iter_mut().skip(first).take(length - 1).for_each(|one| *one = true);
        }
        first += length;
    }
    wrapped
}

/// Marks the lines that a terminal has cut: none is longer, and several are as long.
fn cut(text: &str, lines: &[Line], wrapped: &mut [bool]) {
    let of = |line: &Line| text.get(line.range.clone()).unwrap_or_default();
    let widths: Vec<usize> = lines.iter().map(|line| of(line).chars().count() + line.indent).collect();
    let width = widths.iter().copied().max().unwrap_or_default();
    if width < NARROWEST || widths.iter().filter(|one| **one == width).count() < 2 {
        return;
    }
    let pairs = lines.iter().zip(lines.iter().skip(1)).zip(&widths).zip(wrapped);
    for (((line, next), one), is_wrapped) in pairs {
        let (line, next) = (of(line), of(next));
        // Lines that begin alike are lines of a log.
        *is_wrapped |=
            one + 1 >= width && !next.is_empty() && !begins_anew(line, next) && line.get(..ALIKE) != next.get(..ALIKE);
    }
}

/// Whether a sentence, a parenthesis or a quotation is still open at the end of a line.
pub(super) fn is_unfinished(line: &str) -> bool {
    !line.ends_with(['.', '!', '?', ')', '}', ']', '>', ';', '"', '\''])
}

/// Whether the time with which a line begins is no log's, but what the line above speaks of.
pub(super) fn is_value(previous: &str, line: &str) -> bool {
    const BEFORE: [&str; 14] = [
        "time",
        "before",
        "after",
        "than",
        "at",
        "is",
        "until",
        "since",
        "on",
        "timestamp",
        "date",
        "notBefore",
        "NotAfter",
        "NotBefore",
    ];
    let word = previous.trim_end_matches([':', '=', '"', '\'', '(']).rsplit([' ', '/', '>', '<', WRAP]).next();
    let is_named = word.is_some_and(|word| BEFORE.contains(&word)) || previous.ends_with(['(', '=']);
    is_named && stamp::begins(line)
}

/// What no sentence that goes on begins with.
fn begins_anew(previous: &str, line: &str) -> bool {
    const ANEW: [&str; 16] = [
        "An error occurred",
        "Traceback",
        "Caused by",
        "caused by",
        "Error:",
        "ERROR",
        "WARN",
        "INFO",
        "level=",
        "time=",
        "{\"",
        "<Error",
        "<?xml",
        "at ",
        "--->",
        "status code",
    ];
    ANEW.iter().any(|start| line.starts_with(start)) || stamp::begins(line) && !is_value(previous, line)
}

fn with_wraps(mut text: String, wrapped: &[bool]) -> String {
    let mut number = 0;
    let mut marked = String::with_capacity(text.len());
    for c in text.drain(..) {
        let is_end = c == '\n';
        marked.push(if is_end && wrapped.get(number) == Some(&true) { WRAP } else { c });
        number += usize::from(is_end);
    }
    marked
}

fn joined(lines: Vec<Line>, wrapped: &[bool]) -> Vec<Line> {
    let mut joined: Vec<Line> = Vec::new();
    let mut goes_on = false;
    for (line, next_goes_on) in lines.into_iter().zip(wrapped) {
        match joined.last_mut().filter(|_| goes_on) {
            Some(last) => last.range.end = line.range.end,
            None => joined.push(line),
        }
        goes_on = *next_goes_on;
    }
    joined
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Vec<String> {
        let lines = Lines::of(text);
        lines.lines.iter().map(|line| lines.text[line.range.clone()].replace(WRAP, "~")).collect()
    }

    #[test]
    fn what_stands_around_lines_is_taken_away() {
        assert_eq!(of("> > a  b\n│ c │\nweb-1  | d\n* e\n  f \\"), ["a b", "c", "d", "e", "f"]);
        assert_eq!(of("a => b\n=> c"), ["a => b", "=> c"]);
    }

    #[test]
    fn a_wrapped_paragraph_is_one_line() {
        let cut = "An error occurred (ExpiredToken) when call\ning the ListBuckets operation: The provided\n token has expired.";
        assert_eq!(of(cut).len(), 1, "{:?}", of(cut));
        let filled = "An error occurred (ExpiredToken) when calling\nthe ListBuckets operation: The provided token\nhas expired.";
        assert_eq!(of(filled).len(), 1);
        let mixed = "2026-03-01T12:00:00Z ERROR the request failed\nAn error occurred (Expired\nToken) when calling the L\nistBuckets operation: The";
        assert_eq!(of(mixed).len(), 4, "nothing is that narrow");
        let cut = "2026-03-01T12:00:00Z ERROR the request is\nlost\nAn error occurred (ExpiredToken) when call\ning the ListBuckets operation: The provide\nd token has expired.";
        assert_eq!(of(cut).len(), 2, "{:?}", of(cut));
        let alike = ["RequestTimeTooSkewed: the request was too old"; 3].join("\n");
        assert_eq!(of(&alike).len(), 3);
        let log = "worker 7 timed out after 30 s and is restarted\nget credentials: no role was found there, said somebody\nend";
        assert_eq!(of(log).len(), 3);
    }
}
