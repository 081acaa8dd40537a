//! What a stranger can hand to the agent: all that the fuzzers have found (`tests/fuzz/corpus`), as it is and damaged.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "clippy takes what tests share for production code"
)]

use std::fmt;
use std::fs;
use std::path::Path;

use proptest::prelude::*;
use proptest::sample::Index;
use tests::hostile::{TARGETS, Target};

/// What is inserted by mistake or malice more often than other bytes.
const TOKENS: [&[u8]; 12] = [
    b"\"",
    b"\\",
    b"{",
    b"[",
    b": ",
    b"\n",
    b"\r\n\r\n",
    b"\xff\xff\xff\xff",
    b"\0\0\0\0\0\0\0\0",
    b"&a",
    b"*a",
    b"\xc2\x85",
];

/// The corpus of `target`, in the same order everywhere.
fn corpus(target: &str) -> Vec<(String, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target);
    let mut files: Vec<_> = fs::read_dir(&folder)
        .unwrap_or_else(|error| unreachable!("{}: {error}", folder.display()))
        .map(|entry| entry.unwrap().path())
        .map(|path| (path.file_name().unwrap().to_str().unwrap().to_owned(), fs::read(&path).unwrap()))
        .collect();
    files.sort();
    files
}

fn replay(name: &str) {
    let (_, target) = target(name);
    let corpus = corpus(name);
    assert!(corpus.len() > 10, "the corpus of {name} has only {} files", corpus.len());
    for (file, input) in corpus {
        // The test harness shows what is printed only where the target panics: then the last line names the file.
        println!("{name}/{file}");
        target(&input);
    }
}

fn target(name: &str) -> (&'static str, Target) {
    *TARGETS.iter().find(|(target, _)| *target == name).unwrap()
}

#[test]
fn every_target_has_a_corpus_and_a_fuzzer() {
    let fuzz = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz");
    let names = |folder: &str, end: &str| {
        let mut names: Vec<_> = fs::read_dir(fuzz.join(folder))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap().trim_end_matches(end).to_owned())
            .collect();
        names.sort();
        names
    };
    let mut targets = TARGETS.map(|(name, _)| name.to_owned());
    targets.sort();
    assert_eq!(names("targets", ".rs"), targets);
    assert_eq!(names("corpus", ""), targets);
}

#[test]
fn no_known_reply_of_a_server_breaks_a_promise() {
    replay("ntp_reply");
}

#[test]
fn no_known_document_breaks_a_promise() {
    replay("imds_document");
}

#[test]
fn no_known_response_breaks_a_promise() {
    replay("imds_response");
}

#[test]
fn no_known_configuration_breaks_a_promise() {
    replay("config");
}

#[test]
fn no_known_text_with_errors_breaks_a_promise() {
    replay("explain");
}

#[test]
fn no_known_file_of_the_queue_breaks_a_promise() {
    replay("queue_item");
}

#[test]
fn no_known_state_breaks_a_promise() {
    replay("state");
}

/// A file of a corpus, which a failure names instead of its content.
#[derive(Clone)]
struct Seed {
    file: String,
    input: Vec<u8>,
}

impl fmt::Debug for Seed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)
    }
}

/// One thing that happens to an input.
#[derive(Clone, Debug)]
enum Damage {
    Replaced(Index, u8),
    Removed(Index, usize),
    Inserted(Index, Vec<u8>),
    Repeated(Index, usize),
    CutOff(Index),
}

impl Damage {
    fn apply(&self, input: &mut Vec<u8>) {
        if input.is_empty() {
            return;
        }
        let part = |at: &Index, length: usize| at.index(input.len())..input.len().min(at.index(input.len()) + length);
        match self {
            Self::Replaced(at, by) => {
                let at = at.index(input.len());
                input[at] = *by;
            }
            Self::Removed(at, length) => drop(input.drain(part(at, *length))),
            Self::Inserted(at, added) => {
                let at = at.index(input.len());
                input.splice(at..at, added.iter().copied());
            }
            Self::Repeated(at, length) => {
                let part = part(at, *length);
                let again = input[part.clone()].to_vec();
                input.splice(part.end..part.end, again);
            }
            Self::CutOff(at) => input.truncate(at.index(input.len())),
        }
    }
}

fn damage() -> impl Strategy<Value = Damage> {
    prop_oneof![
        (any::<Index>(), any::<u8>()).prop_map(|(at, by)| Damage::Replaced(at, by)),
        (any::<Index>(), 1..40_usize).prop_map(|(at, length)| Damage::Removed(at, length)),
        (any::<Index>(), prop::sample::select(&TOKENS[..]))
            .prop_map(|(at, token)| Damage::Inserted(at, token.to_vec())),
        (any::<Index>(), prop::collection::vec(any::<u8>(), 1..9)).prop_map(|(at, added)| Damage::Inserted(at, added)),
        (any::<Index>(), 1..200_usize).prop_map(|(at, length)| Damage::Repeated(at, length)),
        any::<Index>().prop_map(Damage::CutOff),
    ]
}

/// Hands damaged inputs of its corpus to a target.
fn damaged(name: &str, cases: u32) {
    let (_, target) = target(name);
    let seeds: Vec<_> = corpus(name).into_iter().map(|(file, input)| Seed { file, input }).collect();
    let strategy = (prop::sample::select(seeds), prop::collection::vec(damage(), 1..6));
    let config = ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(cases) };
    let mut runner = proptest::test_runner::TestRunner::new(config);
    let result = runner.run(&strategy, |(Seed { mut input, .. }, damages)| {
        damages.iter().for_each(|damage| damage.apply(&mut input));
        target(&input);
        Ok(())
    });
    if let Err(error) = result {
        unreachable!("{error}");
    }
}

#[test]
fn no_damaged_reply_of_a_server_breaks_a_promise() {
    damaged("ntp_reply", 500);
}

#[test]
fn no_damaged_document_breaks_a_promise() {
    damaged("imds_document", 1_000);
}

#[test]
fn no_damaged_response_breaks_a_promise() {
    damaged("imds_response", 200);
}

#[test]
fn no_damaged_configuration_breaks_a_promise() {
    damaged("config", 500);
}

#[test]
fn no_damaged_text_with_errors_breaks_a_promise() {
    damaged("explain", 500);
}

#[test]
fn no_damaged_file_of_the_queue_breaks_a_promise() {
    damaged("queue_item", 1_000);
}

#[test]
fn no_damaged_state_breaks_a_promise() {
    damaged("state", 1_000);
}
