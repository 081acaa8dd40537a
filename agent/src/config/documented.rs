//! What the documentation says of alerts is what their rows say (and of targets, what these say). `SKEWGUARD_WRITE_DOCS=1 cargo test documented` writes it.

use std::fs;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde_json::Value;

use super::schema::schema;
use crate::assess::alerts::{ROWS, Row};
use crate::assess::level::Level;
use crate::setting::period::Period;

const WIDTH: usize = 120;

/// Two that write one file would lose what the other wrote.
static TURN: Mutex<()> = Mutex::new(());

/// Compares what stands in `file` between two texts, or at all, with what is to stand there.
pub(crate) fn assert_documented(file: &str, between: Option<(&str, &str)>, expected: &str) {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(file);
    let text = fs::read_to_string(&path).unwrap();
    let (before, found, after) = match between {
        None => ("", text.as_str(), ""),
        Some((begin, end)) => {
            let start = text.find(begin).unwrap_or_else(|| panic!("{file} has no {begin:?}")) + begin.len();
            let length = text[start..].find(end).unwrap_or_else(|| panic!("{file} has no {end:?}"));
            (&text[..start], &text[start..start + length], &text[start + length..])
        }
    };
    if found == expected {
        return;
    }
    assert!(
        std::env::var_os("SKEWGUARD_WRITE_DOCS").is_some(),
        "{file} does not say what the code says; `SKEWGUARD_WRITE_DOCS=1 cargo test documented` writes:\n{expected}"
    );
    fs::write(path, [before, expected, after].concat()).unwrap();
}

/// A duration in the largest unit of which it is several, as people write it.
fn words(time: Duration) -> String {
    const DAY: u64 = 86_400;
    match time.as_secs() {
        seconds if time.subsec_nanos() == 0 && seconds > DAY && seconds % DAY == 0 => format!("{}d", seconds / DAY),
        seconds @ (60 | 3_600) if time.subsec_nanos() == 0 => format!("{seconds}s"),
        _ => Period(time).to_string(),
    }
}

fn level(level: Level) -> String {
    level.time().map_or_else(|| level.to_string(), words)
}

/// A text as a comment of the installed file, where all begins with `indent`.
pub(crate) fn comment(indent: &str, text: &str) -> String {
    let mut lines = vec![format!("{indent}#")];
    for word in text.split(' ') {
        let line = lines.last_mut().unwrap();
        if line.chars().count() + 1 + word.chars().count() > WIDTH {
            lines.push(format!("{indent}# {word}"));
        } else {
            *line += &format!(" {word}");
        }
    }
    lines.join("\n") + "\n"
}

/// A part of the installed file with all its keys in effect: a key that is not has a `#` right before it, and a comment has
/// a blank behind that.
pub(crate) fn uncommented(text: &str) -> String {
    let line = |line: &str| match line.trim_start().strip_prefix('#') {
        Some(rest) if !rest.is_empty() && !rest.starts_with(' ') => line.replacen('#', "", 1) + "\n",
        _ => line.to_owned() + "\n",
    };
    text.lines().map(line).collect()
}

/// The section of an alert in the installed file.
fn section(row: &Row) -> String {
    let mut lines = vec![format!("  {}:", row.kind.name())];
    lines.push("    #enabled: true".to_owned());
    lines.extend(row.levels.warning.map(|warning| format!("    #warning: {}", level(warning))));
    lines.extend(row.levels.critical.map(|critical| format!("    #critical: {}", level(critical))));
    lines.push(format!("    #for: {}", Period(row.hold)));
    comment("  ", row.description) + &lines.join("\n") + "\n"
}

/// Its row in the table of the README.
fn line(row: &Row) -> String {
    let cell = |text: Option<Level>| text.map(level).map_or_else(|| " ".to_owned(), |text| format!(" {text} "));
    let (warning, critical) = (cell(row.levels.warning), cell(row.levels.critical));
    format!("| `{}` |{warning}|{critical}| {} | {} |\n", row.kind.name(), Period(row.hold), row.description)
}

#[test]
fn the_installed_file_documents_each_alert_as_its_row_has_it() {
    let sections: String = ROWS.iter().map(section).collect();
    let begin = "`for` is how long a level must last before the alert fires, 0s to 24h.\n\n";
    assert_documented("config/skewguard.yaml", Some((begin, "\n# Where alerts go")), &sections);
}

#[test]
fn the_readme_documents_each_alert_as_its_row_has_it() {
    let lines: String = ROWS.iter().map(line).collect();
    let begin = "| alert | warning | critical | for | it means |\n|---|---|---|---|---|\n";
    assert_documented("README.md", Some((begin, "\nEach level")), &lines);
}

#[test]
fn the_committed_schema_is_the_one_of_the_code() {
    assert_documented("config/skewguard.schema.json", None, &schema());
}

/// What is of the chart alone stays as it is; the agent's definitions are all that it has.
#[test]
fn the_chart_embeds_the_documented_schema() {
    let file = "deploy/kubernetes/skewguard/values.schema.json";
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(file);
    let mut values: Value = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
    let mut config: Value = serde_json::from_str(&schema()).unwrap();
    let config = config.as_object_mut().unwrap();
    let mut definitions = config.remove("$defs").unwrap();
    // The chart says which draft it is written in, so that older ones of helm understand it.
    config.retain(|key, _| !["$schema", "title"].contains(&key.as_str()));
    assert_eq!(definitions.as_object_mut().unwrap().insert("Config".to_owned(), config.clone().into()), None);
    values["$defs"] = definitions;
    assert_documented(file, None, &format!("{values:#}\n"));
}
