//! Texts that somebody takes for a configuration.

use std::path::Path;

use skewguard::config::checked::Config;
use skewguard::config::load::parse;
use skewguard::config::show::show;

const FILE: &str = "fuzz.yaml";

/// A text as configuration: one that is accepted is shown so that it loads again, and what is wrong with one that is not
/// stands at a place that exists.
pub fn text(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    match parse(text, Path::new(FILE), &|_| None) {
        Ok(config) => assert_shown(&config),
        Err(error) => assert_placed(&error.to_string(), text),
    }
}

fn assert_shown(config: &Config) {
    let shown = show(config);
    // The file wins over an environment that says the contrary.
    // No key says what the variable of version 1 does.
    let is_contrary = |name: &str| name.ends_with("_DISABLED") && !name.ends_with("_V1_DISABLED");
    let disabled = |name: &str| is_contrary(name).then(|| "true".to_owned());
    let again = match parse(&shown, Path::new(FILE), &disabled) {
        Ok(again) => again,
        Err(error) => unreachable!("what is shown is refused: {error}\n{shown}"),
    };
    assert_eq!(show(&again), shown);
    // Some of what is shown could be wrong in the same way twice. What is masked is not what it was.
    assert!(shown.contains("***") || again == *config, "{shown}");
}

fn assert_placed(error: &str, text: &str) {
    assert!(!error.chars().any(|c| c.is_control() && c != '\n'), "{error:?}");
    let mut lines = error.lines();
    assert!(lines.next().is_some_and(|message| message.len() > "error: ".len()), "{error:?}");
    let Some(place) = lines.next() else { unreachable!("no file is named: {error:?}") };
    let place = place.trim_start().strip_prefix("--> fuzz.yaml");
    let Some(place) = place else { unreachable!("the message has two lines: {error:?}") };
    if place.is_empty() {
        assert_eq!(lines.next(), None, "{error:?}");
        return;
    }
    assert_eq!(lines.count(), 3, "{error:?}");
    let mut numbers = place.split(':').skip(1).map(|number| number.parse::<usize>().expect("a number"));
    let (line, column) = (numbers.next().expect("a line"), numbers.next().expect("a column"));
    let written = yaml_lines(text).nth(line.checked_sub(1).expect("lines are counted from 1"));
    let Some(written) = written else { unreachable!("there is no line {line}: {error}\n{text:?}") };
    assert!((1..=written.chars().count() + 1).contains(&column), "{error}\n{text:?}");
}

/// YAML 1.1 §4.2.
fn yaml_lines(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let text = rest?;
        let (line, after) = match text.split_once(['\n', '\r', '\u{85}', '\u{2028}', '\u{2029}']) {
            Some((line, after)) if text.get(line.len()..).is_some_and(|end| end.starts_with("\r\n")) => {
                (line, after.strip_prefix('\n'))
            }
            Some((line, after)) => (line, Some(after)),
            None => (text, None),
        };
        rest = after;
        Some(line)
    })
}
