//! From lines to errors: an entry of a log, or an exception with its causes, each by itself.

use std::ops::Range;

use super::lines::{Line, Lines, is_unfinished, is_value as is_spoken_of};
use super::stamp::{self, Stamp};

/// How a line begins that tells the cause, or more, of the error above it.
const MORE: &[&str] = &[
    "Causing:",
    "Wrapped by:",
    "Caused by",
    "caused by",
    "at ",
    "... ",
    "---",
    "Original error",
    "Suppressed:",
    "The above exception",
    "During handling",
    "status code",
    "Status code",
    "request id",
    "Next ",
    "[cause]",
    "Please see http",
    "for more information",
    "For more information",
    "For verbose messaging",
    "Reason:",
    "Message:",
    "Code:",
    "RequestId:",
    "Root cause",
];
/// What joins two exceptions of Python, of Dropwizard or of Logback, of which the upper one is the cause.
const CHAINS: [&str; 4] =
    ["The above exception was the direct cause", "During handling of the above exception", "Causing:", "Wrapped by:"];
/// What the SDK for Go v1 found at each place, one below the other.
const LISTED: [&str; 5] =
    ["EnvAccessKeyNotFound", "SharedCredsLoad", "EC2RoleRequestError", "SharedConfig", "CredentialsEndpointError"];
/// What an error of Terraform says above its cause.
const WRAPPER: &str = "no valid credential sources";
/// A wrapper does not reach further.
const WRAPPED: usize = 700;

/// One error with all that belongs to it.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    /// Where it stands in the text.
    pub(super) range: Range<usize>,
    /// When it was logged.
    pub(super) stamp: Option<Stamp>,
    /// Whether the causes stand above what they caused.
    pub(super) is_cause_first: bool,
}

/// Takes lines apart. Blank lines belong to nobody.
pub(super) fn split(lines: &Lines) -> Vec<Entry> {
    let mut entries: Vec<Entry> = Vec::new();
    let mut state = State { indent: 0, previous: None, is_after_blank: true, is_in_chain: false, is_list: false };
    for line in &lines.lines {
        let text = lines.text.get(line.range.clone()).unwrap_or_default();
        if text.trim().is_empty() {
            state.is_after_blank |= !(line.is_boxed && state.previous.as_ref().is_some_and(|(_, is_boxed)| *is_boxed));
            continue;
        }
        let so_far = entries.last().and_then(|entry| lines.text.get(entry.range.clone())).unwrap_or_default();
        let goes_on = state.goes_on(line, text, so_far);
        match entries.last_mut().filter(|_| goes_on) {
            Some(entry) => {
                entry.range.end = line.range.end;
                entry.is_cause_first |= CHAINS.iter().any(|chain| text.starts_with(chain));
                entry.stamp = entry.stamp.or_else(|| within(text));
            }
            None => {
                let inherited = entries.last().and_then(|entry| entry.stamp).filter(|_| !state.is_after_blank);
                let stamp = stamp::at_start(text).or_else(|| within(text)).or(inherited);
                entries.push(Entry { range: line.range.clone(), stamp, is_cause_first: false });
                state.indent = line.indent;
                state.is_in_chain = false;
                state.is_list = false;
            }
        }
        state.is_in_chain |= CHAINS.iter().any(|chain| text.starts_with(chain));
        state.is_list |= text.contains("NoCredentialProviders");
        state.is_after_blank = false;
        state.previous = Some((text.to_owned(), line.is_boxed));
    }
    entries
}

/// What is known of the lines above.
struct State {
    /// How far the first line of the entry is indented.
    indent: usize,
    /// The line above, and whether it is boxed.
    previous: Option<(String, bool)>,
    is_after_blank: bool,
    is_in_chain: bool,
    /// Whether the entry lists what the SDK for Go v1 found at each place.
    is_list: bool,
}

impl State {
    /// Whether a line belongs to the error of the lines above.
    fn goes_on(&self, line: &Line, text: &str, so_far: &str) -> bool {
        let Some((previous, was_boxed)) = &self.previous else { return false };
        let is_more =
            MORE.iter().any(|start| text.starts_with(start)) || text.starts_with('<') && so_far.len() < WRAPPED;
        let is_of_box = line.is_boxed && (*was_boxed || !self.is_after_blank);
        let is_stamped = stamp::begins(text);
        let is_value =
            is_stamped && behind_stamp(text).is_some_and(|rest| rest.starts_with(['<', ',', ')', '"', '\'']));
        // A time or a number that a wrapped line has cut, or that a sentence goes on with.
        let is_cut = previous.ends_with(|c: char| c.is_ascii_digit()) && text.starts_with(|c: char| c.is_ascii_digit());
        let is_rest = stamp::is_of_a_signature(text) || is_cut && !is_stamped;
        if (is_value || is_rest || is_spoken_of(previous, text)) && !self.is_after_blank {
            return true;
        }
        if is_stamped || text.starts_with("{\"") {
            // Those who follow a log may put a time before every line of one error.
            return is_stamped
                && behind_stamp(text).is_some_and(|rest| MORE.iter().any(|start| rest.starts_with(start)));
        }
        let is_more = is_more
            || text.strip_prefix("Exception ").is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
        if is_more || is_of_box || self.is_in_chain && (text.starts_with("Traceback") || !self.is_after_blank) {
            return true;
        }
        let is_of_list = self.is_list && LISTED.iter().any(|start| text.starts_with(start));
        // A name alone is what the next line says more of.
        let is_named = !previous.contains(' ') && (previous.ends_with("Exception") || previous.ends_with("Error"));
        if !self.is_after_blank && (is_of_list || is_named) {
            return true;
        }
        let is_wrapped = so_far.len() < WRAPPED && so_far.to_ascii_lowercase().contains(WRAPPER);
        if is_wrapped && (text.starts_with("Error:") || text.starts_with("error:")) {
            return true;
        }
        if self.is_after_blank {
            return previous.ends_with(':')
                || previous.ends_with("http")
                || line.indent > self.indent && is_deep(previous);
        }
        let first = text.chars().next().unwrap_or(' ');
        // A sentence that the line above has not ended goes on in lower case; what is finished does not.
        line.indent > self.indent
            || matches!(first, '}' | ']' | ')' | '(' | '<' | ',' | ';' | ':' | '.' | '-')
            || is_numbered(text)
            || first.is_lowercase()
                && is_unfinished(previous)
                && !text.starts_with("error")
                && !text.starts_with("level=")
            || previous.ends_with([',', '(', '{', '=', '['])
            || previous.ends_with(':') && !previous.starts_with("Traceback")
    }
}

fn is_deep(previous: &str) -> bool {
    previous.ends_with(['{', '(', ','])
}

/// `0: the cause`
fn is_numbered(text: &str) -> bool {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    (1..=2).contains(&digits) && text.get(digits..).is_some_and(|rest| rest.starts_with(": "))
}

/// What follows the time at the beginning of a line.
fn behind_stamp(text: &str) -> Option<&str> {
    let (_, taken) = stamp::read(text)?;
    Some(text.get(taken..)?.trim_start_matches(' '))
}

/// The time that an entry of a log of JSON or of keys and values has anywhere.
fn within(text: &str) -> Option<Stamp> {
    const KEYS: [&str; 7] =
        ["\"timestamp\":", "\"time\":", "\"ts\":", "\"@timestamp\":", "\"asctime\":", "time=", "\"t\":"];
    KEYS.iter().find_map(|key| {
        let (_, rest) = text.split_once(key)?;
        let (stamp, _) = stamp::read(rest.trim_start_matches([' ', '"']))?;
        Some(stamp)
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::time::rfc3339;

    fn of(text: &str) -> Vec<String> {
        let lines = Lines::of(text);
        split(&lines).into_iter().map(|entry| lines.text[entry.range].to_owned()).collect()
    }

    #[test]
    fn an_error_and_its_causes_are_one() {
        for text in [
            "NoCredentialProviders: none\ncaused by: RequestError: send request failed\ncaused by: dial tcp",
            "Exception in thread \"main\" X\n    at a.b(C.java:1)\n    ... 12 more\nCaused by: Y\n    at d",
            "Unable to find credentials\nException 1 of 4: X\nException 2 of 4: Y",
            "Error: no client\n\nCaused by:\n    0: head\n    1: none",
            "╷\n│ Error: a\n│ \n│ with b,\n│ \n│ Error: c\n╵",
            "X: y {\n  '$fault': 'client',\n  Code: 'z'\n}",
            "A: x\n\nThe above exception was the direct cause of the following exception:\n\nTraceback (most recent call last):\n  File \"a\"\nB: y",
            "<RequestTime>\n  20260301T120000Z</RequestTime><ServerTime>\n  2026-03-01T12:20:00Z</ServerTime>",
            "InvalidSignatureException\nSignature expired: x",
            "DNSServerError: 400 Bad Request\n<?xml version=\"1.0\"?>\n<ErrorResponse>",
            "2026-03-01T12:00:00Z X: y\n2026-03-01T12:00:00Z caused by: z",
        ] {
            assert_eq!(of(text).len(), 1, "{text}\n{:?}", of(text));
        }
    }

    #[test]
    fn several_errors_are_several() {
        for (text, count) in [
            ("AccessDenied: x\nAn error occurred (RequestExpired)", 2),
            ("2026-03-01 12:00:00 a\n2026-03-01 12:00:01 b\nMar  1 12:00:02 host c", 3),
            ("{\"msg\":\"a\"}\n{\"msg\":\"b\"}", 2),
            ("first.\n\nSecond.", 2),
            ("first (x)\nlater on another host: y", 2),
        ] {
            assert_eq!(of(text).len(), count, "{text}\n{:?}", of(text));
        }
    }

    #[test]
    fn the_time_of_an_entry_is_that_of_its_log() {
        for text in [
            "2026-03-01 12:00:00 a",
            "{\"msg\":\"a\",\"timestamp\":\"2026-03-01T12:00:00Z\"}",
            "time=\"2026-03-01T12:00:00Z\" msg=a",
            "[2026-03-01T12:00:00Z WARN] a",
        ] {
            let entries = split(&Lines::of(text));
            let told = entries[0].stamp.map(|stamp| rfc3339(stamp.nanos));
            assert_eq!(told.as_deref(), Some("2026-03-01T12:00:00.000Z"), "{text}");
        }
        assert_eq!(split(&Lines::of("Signature expired: 20260301T120000Z"))[0].stamp, None);
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text: String) {
            let lines = Lines::of(&text);
            let entries = split(&lines);
            prop_assert!(entries.windows(2).all(|pair| pair[0].range.end <= pair[1].range.start));
        }
    }
}
