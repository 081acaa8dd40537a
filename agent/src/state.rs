//! What outlives the process: one file in the state directory, replaced as a whole.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use ring::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};

use crate::alert::machine::Transition;
use crate::engine::{Image, Part, Room};
use crate::files::replace;
use crate::snapshot::AlertMessage;

/// The file's name in the state directory.
pub const FILE: &str = "state.json";
/// What a file that cannot be read is renamed to.
pub const UNREADABLE: &str = "state.json.unreadable";
/// The `format` of every version.
const FORMAT: &str = "skewguard-state";
/// The version that is written, and the only one that is read.
const VERSION: u64 = 1;
/// A larger file is none of this agent's: whatever would make it larger is left out. Ten thousand alerts that fire fit in.
const MOST_BYTES: usize = 16 * 1024 * 1024;
/// What stands between the content and its check sum, which is the last member of the object.
const CHECK: &str = ",\"sha256\":\"";
const END: &str = "\"}\n";
const HEX_LENGTH: usize = 64;

/// What outlives the process.
#[derive(Clone, Debug, PartialEq)]
pub struct State {
    /// The boot of the host in which it was written.
    pub boot_id: String,
    /// The engine.
    pub image: Image,
    /// What was decided to be told and is not known to have reached a queue.
    pub untold: Vec<Untold>,
}

/// A transition that is to be told, as it was when it happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Untold {
    /// What happened.
    pub transition: Transition,
    /// What is said of it.
    pub message: AlertMessage,
}

/// What was left out of a state because the file would have been too large to be read again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LeftOut {
    /// Alerts, those that fire and those that pend.
    pub alerts: usize,
    /// What is to be told.
    pub untold: usize,
    /// What is remembered of credentials.
    pub credentials: usize,
}

/// Why what was read is no state of this agent.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// It is too large.
    #[error("it is larger than {} MiB", MOST_BYTES / 1024 / 1024)]
    TooLarge,
    /// It is a folder, a socket or the like.
    #[error("it is no file")]
    NoFile,
    /// It is something else.
    #[error("it is not written by skewguard")]
    Foreign,
    /// It is that of another version.
    #[error("it has version {0}, and this agent reads version {VERSION}")]
    Version(u64),
    /// It was cut off or changed since it was written.
    #[error("it was cut off or changed since it was written")]
    Damaged,
    /// It says what no agent would have written.
    #[error("it is not valid: {0}")]
    Invalid(#[from] serde_json::Error),
}

/// Why the state cannot be read or written.
#[derive(Debug, thiserror::Error)]
#[error("failed to {verb} {}: {source}: the agent needs a state directory that it can read and write", path.display())]
pub struct FileError {
    verb: &'static str,
    path: PathBuf,
    source: io::Error,
}

impl FileError {
    /// The file cannot be written.
    pub fn unwritable(path: &Path, source: io::Error) -> Self {
        Self::new("write", path)(source)
    }

    fn new(verb: &'static str, path: &Path) -> impl Fn(io::Error) -> Self {
        move |source| Self { verb, path: path.to_owned(), source }
    }
}

#[derive(Deserialize)]
struct Header {
    format: String,
    version: u64,
}

#[derive(Serialize)]
struct Written<'a> {
    format: &'a str,
    version: u64,
    boot_id: &'a str,
    image: &'a Image,
    untold: &'a [Untold],
}

#[derive(Deserialize)]
struct Content {
    boot_id: String,
    image: Image,
    untold: Vec<Untold>,
}

/// Writes the state as the text of a file: a JSON object whose last member is the SHA-256 of all before it.
///
/// # Errors
/// Never, as long as all that is in it can be written as JSON.
pub fn encode(state: &State) -> Result<Vec<u8>, serde_json::Error> {
    let State { boot_id, image, untold } = state;
    let mut text = serde_json::to_vec(&Written { format: FORMAT, version: VERSION, boot_id, image, untold })?;
    // The brace that ends the object ends it after the check sum instead.
    text.pop();
    let check = hex(&text);
    for part in [CHECK, &check, END] {
        text.extend_from_slice(part.as_bytes());
    }
    Ok(text)
}

/// The same with what the next process needs most, so that it takes no more than `most` bytes: alerts that fire, the newest
/// of what is to be told, alerts that pend, and what is remembered of credentials, in this order.
fn fitting(state: &State, most: usize) -> Result<(State, LeftOut), serde_json::Error> {
    let State { boot_id, image, untold } = state;
    let mut small = State { boot_id: boot_id.clone(), image: image.bare(), untold: Vec::new() };
    let mut room = Room(most.saturating_sub(encode(&small)?.len()));
    let firing = small.image.add(image, Part::Firing, &mut room);
    let left_untold = room.fill(&mut small.untold, untold.iter().rev());
    small.untold.reverse();
    let pending = small.image.add(image, Part::Pending, &mut room);
    let credentials = small.image.add(image, Part::Credentials, &mut room);
    let left_out = LeftOut { alerts: firing.saturating_add(pending), untold: left_untold, credentials };
    Ok((small, left_out))
}

/// The text of a file that [`load`] reads, and what had to be left out for that.
fn encode_bounded(state: &State) -> Result<(Vec<u8>, LeftOut), serde_json::Error> {
    let text = encode(state)?;
    if text.len() <= MOST_BYTES {
        return Ok((text, LeftOut::default()));
    }
    drop(text);
    let (state, left_out) = fitting(state, MOST_BYTES)?;
    Ok((encode(&state)?, left_out))
}

/// Reads what [`encode`] wrote.
///
/// # Errors
/// It is anything else, or not exactly what was written.
pub fn decode(text: &[u8]) -> Result<State, DecodeError> {
    let header: Header = serde_json::from_slice(text).map_err(|error| match error.classify() {
        serde_json::error::Category::Data => DecodeError::Foreign,
        _ => DecodeError::Damaged,
    })?;
    if header.format != FORMAT {
        return Err(DecodeError::Foreign);
    }
    if header.version != VERSION {
        return Err(DecodeError::Version(header.version));
    }
    let length = text.len().checked_sub(CHECK.len() + HEX_LENGTH + END.len()).ok_or(DecodeError::Damaged)?;
    let (content, end) = text.split_at_checked(length).ok_or(DecodeError::Damaged)?;
    if end != [CHECK, &hex(content), END].concat().as_bytes() {
        return Err(DecodeError::Damaged);
    }
    let Content { boot_id, image, untold } = serde_json::from_slice(text)?;
    Ok(State { boot_id, image, untold })
}

/// Reads the state; `None` where there is none. A file that cannot be understood is set aside with a warning, so that the
/// agent starts all the same and somebody can look at it.
///
/// # Errors
/// The file is there and cannot be read at all.
pub fn load(folder: &Path) -> Result<Option<State>, FileError> {
    let path = folder.join(FILE);
    match read(&path).map_err(FileError::new("read", &path))? {
        None => Ok(None),
        Some(Ok(state)) => Ok(Some(state)),
        Some(Err(reason)) => {
            set_aside(&path, &folder.join(UNREADABLE), &reason);
            Ok(None)
        }
    }
}

/// Looks at the state, and leaves it as it is; `None` where there is none that can be understood.
pub fn peek(folder: &Path) -> Option<State> {
    read(&folder.join(FILE)).ok()??.ok()
}

/// What is in the file; `None` where there is none.
fn read(path: &Path) -> io::Result<Option<Result<State, DecodeError>>> {
    match fs::symlink_metadata(path) {
        Ok(kind) if kind.is_file() => {}
        Ok(_) => return Ok(Some(Err(DecodeError::NoFile))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    }
    let mut text = Vec::new();
    let most = u64::try_from(MOST_BYTES).unwrap_or(u64::MAX);
    File::open(path)?.take(most.saturating_add(1)).read_to_end(&mut text)?;
    Ok(Some(if text.len() > MOST_BYTES { Err(DecodeError::TooLarge) } else { decode(&text) }))
}

fn set_aside(path: &Path, aside: &Path, reason: &DecodeError) {
    let (file, effect) = (path.display(), "alerts that fire now are told again");
    match fs::rename(path, aside) {
        Ok(()) => {
            tracing::warn!(%file, kept_as = %aside.display(), %reason, "the state cannot be read: {effect}");
        }
        Err(error) => tracing::warn!(%file, %reason, %error, "the state can be neither read nor renamed: {effect}"),
    }
}

/// Replaces the state as a whole: whoever reads it, now or after a crash, finds the old one or the new one. Returns what
/// there was no room for.
///
/// # Errors
/// The directory cannot be written to, or its disk is full; the old state is still there.
pub fn save(folder: &Path, state: &State) -> Result<LeftOut, FileError> {
    let path = folder.join(FILE);
    let encoded = encode_bounded(state).map_err(io::Error::from);
    let written = encoded.and_then(|(text, left_out)| replace(&path, &text).map(|()| left_out));
    written.map_err(FileError::new("write", &path))
}

fn hex(text: &[u8]) -> String {
    digest(&SHA256, text).as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    #[cfg(unix)]
    use std::os::unix::fs::PermissionsExt;
    use std::sync::{Arc, LazyLock};

    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;
    use crate::clock::filter::tests::sample;
    use crate::config::checked::Config;
    use crate::config::load::parse;
    use crate::credentials::Provider;
    use crate::credentials::imds::host::HostIdentity;
    use crate::credentials::lease::Unavailable;
    use crate::credentials::round::{self, Round};
    use crate::engine::{Engine, Event};
    use crate::notify::message::message;
    use crate::notify::runbooks::Runbooks;
    use crate::sources::poller::Polled;
    use crate::sources::refusal::Refusal;
    use crate::time::{BootTime, Reading, Span, SystemTime};

    fn config() -> Arc<Config> {
        let text = "sources: [{name: a, ntp: 10.0.0.1}, {name: b, ntp: 10.0.0.2}, {name: c, ntp: 10.0.0.3}]";
        Arc::new(parse(text, Path::new("state.yaml"), &|_| None).unwrap())
    }

    fn now(seconds: f64) -> Reading {
        Reading { boot: BootTime::from_seconds(seconds), system: SystemTime::from_seconds(1e9 + seconds) }
    }

    /// Lets something of everything happen.
    fn live(engine: &mut Engine, from: u32) -> Vec<Transition> {
        let mut transitions = Vec::new();
        for second in (from..from + 900).step_by(16) {
            let seconds = f64::from(second);
            let slept = if second > from + 400 { 10.0 } else { 0.0 };
            let tick = Event::Tick { kernel: None, asleep: Span::from_seconds(slept) };
            let answers = [(0, 1e9 + 100.0), (1, 1e9 + 100.0), (2, 1e9 + 500.0)]
                .map(|(source, anchor)| (source, Ok(sample(seconds, anchor + seconds * 1e-4, 1e-3))))
                .into_iter()
                .chain((second % 5 == 0).then_some((0, Err(Refusal::TIMEOUT))))
                .map(|(source, result)| Event::Source(Polled { source, address: None, result }));
            let result = Err(Unavailable::Timeout);
            let round = Round::one(result, Vec::new());
            let outage = Event::Credential(round::Polled { provider: Provider::Imds, round });
            for event in [tick, outage].into_iter().chain(answers) {
                transitions.extend(engine.handle(event, now(seconds)).transitions);
            }
        }
        transitions
    }

    /// One of which there is some of everything.
    fn state() -> State {
        static STATE: LazyLock<State> = LazyLock::new(lived);
        STATE.clone()
    }

    fn lived() -> State {
        let mut engine = Engine::new(config(), now(0.0));
        engine.name_host("web-1".to_owned());
        let host = HostIdentity { instance_id: Some("i-1".to_owned()), ..HostIdentity::default() };
        engine.handle(Event::Host(host), now(0.0));
        let untold = live(&mut engine, 0).into_iter().map(|transition| {
            let message = message(&transition, SystemTime::ZERO, &Runbooks::default());
            Untold { transition, message }
        });
        let untold: Vec<_> = untold.collect();
        assert!(untold.len() >= 3, "{untold:?}");
        State { boot_id: "11111111-2222-3333-4444-555555555555".to_owned(), image: engine.image(), untold }
    }

    fn files(folder: &Path) -> Vec<String> {
        let mut names: Vec<String> =
            fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[cfg(unix)]
    #[test]
    fn what_is_saved_is_loaded_and_only_its_owner_may_read_it() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(load(folder.path()).unwrap(), None);
        // What a crash has left is in nobody's way.
        fs::write(folder.path().join("state.json.unfinished"), "half of a").unwrap();
        let (first, second) = (state(), State { untold: Vec::new(), ..state() });
        for state in [first, second] {
            assert_eq!(save(folder.path(), &state).unwrap(), LeftOut::default());
            assert_eq!(load(folder.path()).unwrap().as_ref(), Some(&state));
            assert_eq!(files(folder.path()), [FILE]);
        }
        let mode = fs::metadata(folder.path().join(FILE)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn what_cannot_be_understood_is_set_aside_and_the_older_one_makes_room() {
        let good = encode(&state()).unwrap();
        let text = String::from_utf8(good.clone()).unwrap();
        let newer = text.replace("\"version\":1", "\"version\":2");
        let changed = text.replace("2222", "2223");
        let large = " ".repeat(MOST_BYTES + 1);
        let cases = [
            ("", "cut off or changed"),
            ("{\"format\":\"something\",\"version\":1}", "not written by skewguard"),
            ("[1]", "not written by skewguard"),
            (&newer, "version 2"),
            (&changed, "cut off or changed"),
            (&text[..text.len() / 2], "cut off or changed"),
            (&large, "16 MiB"),
        ];
        let folder = tempfile::tempdir().unwrap();
        for (bad, _) in cases {
            fs::write(folder.path().join(FILE), bad).unwrap();
            assert_eq!(load(folder.path()).unwrap(), None);
            assert_eq!(files(folder.path()), [UNREADABLE]);
            assert_eq!(fs::read_to_string(folder.path().join(UNREADABLE)).unwrap(), bad);
        }
        for (bad, reason) in &cases[..6] {
            let error = decode(bad.as_bytes()).unwrap_err().to_string();
            assert!(error.contains(reason), "{error}");
        }
        fs::write(folder.path().join(FILE), good).unwrap();
        assert!(load(folder.path()).unwrap().is_some());
    }

    #[cfg(unix)]
    #[test]
    fn a_folder_in_its_place_is_set_aside_and_a_missing_state_directory_is_an_error_only_when_writing() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join(FILE)).unwrap();
        assert_eq!(load(folder.path()).unwrap(), None);
        assert_eq!(files(folder.path()), [UNREADABLE]);
        let missing = folder.path().join("missing");
        assert_eq!(load(&missing).unwrap(), None);
        let error = save(&missing, &state()).unwrap_err().to_string();
        assert!(error.contains("missing/state.json") && error.contains("state directory"), "{error}");
    }

    /// The same with `count` alerts that fire and as many that pend, all with a long story.
    fn crowded(count: usize) -> State {
        let mut json = serde_json::to_value(state().image).unwrap();
        let alerts = json["alerts"].as_array().unwrap();
        let firing = alerts.iter().find(|alert| alert["state"].get("firing").is_some()).unwrap().clone();
        let mut pending = firing.clone();
        pending["state"] = serde_json::json!({ "pending": { "since": 0 } });
        let many = [firing, pending].into_iter().flat_map(|alert| {
            (0..count).map(move |number| {
                let mut alert = alert.clone();
                alert["subject"] = format!("profile-{number}").into();
                alert["summary"] = "é\u{1f}".repeat(500).into();
                alert
            })
        });
        json["alerts"] = many.collect();
        State { image: serde_json::from_value(json).unwrap(), ..state() }
    }

    #[test]
    fn a_state_that_is_too_large_is_written_without_what_matters_least_and_is_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let state = crowded(3_000);
        assert!(encode(&state).unwrap().len() > MOST_BYTES);
        let left_out = save(folder.path(), &state).unwrap();
        let read = load(folder.path()).unwrap().expect("it is read again");
        assert_eq!(files(folder.path()), [FILE]);
        assert_eq!((read.image.firing(), left_out.untold, &read.untold), (3_000, 0, &state.untold));
        assert!((1..3_000).contains(&left_out.alerts), "{left_out:?}");
        assert!(
            fs::metadata(folder.path().join(FILE)).unwrap().len() > 15 * 1024 * 1024,
            "no more is left out than must"
        );
    }

    #[test]
    fn every_truncation_is_noticed() {
        let text = encode(&State { untold: Vec::new(), ..state() }).unwrap();
        for length in (0..text.len()).step_by(7).chain([text.len() - 1]) {
            assert!(decode(&text[..length]).is_err(), "{length} of {}", text.len());
        }
    }

    /// Puts hostile numbers into some of the places where numbers are.
    fn poison(value: &mut Value, random: &mut fastrand::Rng) {
        match value {
            Value::Number(_) if random.u8(..3) == 0 => {
                let extremes = [i64::MIN, i64::MIN + 1, -1, 0, 1, i64::MAX - 1, i64::MAX, random.i64(..)];
                *value = extremes[random.usize(..extremes.len())].into();
            }
            Value::Array(all) => all.iter_mut().for_each(|one| poison(one, random)),
            Value::Object(all) => all.values_mut().for_each(|one| poison(one, random)),
            _ => {}
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]
        #[test]
        fn a_file_that_was_changed_anywhere_is_set_aside(at in any::<prop::sample::Index>(), byte in any::<u8>()) {
            let good = encode(&state()).unwrap();
            let mut bad = good.clone();
            bad[at.index(good.len())] = byte;
            prop_assert_eq!(decode(&bad).is_ok(), bad == good);
        }

        #[test]
        fn what_is_left_out_is_counted_and_the_rest_takes_no_more_room_than_there_is(percent in 0_usize..120) {
            let state = crowded(3);
            let (whole, least) = (encode(&state).unwrap().len(), encode(&fitting(&state, 0).unwrap().0).unwrap().len());
            let most = least + (whole - least) * percent / 100;
            let (small, left_out) = fitting(&state, most).unwrap();
            prop_assert!(encode(&small).unwrap().len() <= most);
            prop_assert_eq!(decode(&encode(&small).unwrap()).unwrap(), small.clone());
            prop_assert_eq!(small.untold.len() + left_out.untold, state.untold.len());
            prop_assert!(left_out.alerts + small.image.firing() <= 6);
            // The last of each list is counted with a comma that it does not have.
            let (is_short, is_ample) = (most < whole, most >= whole + 3);
            let is_whole = left_out == LeftOut::default();
            prop_assert!((is_whole || !is_ample) && !(is_whole && is_short), "{:?}", left_out);
            prop_assert!(small.untold.iter().all(|one| state.untold.contains(one)));
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            prop_assert!(decode(&bytes).is_err());
        }

        #[test]
        fn hostile_numbers_in_an_image_never_make_the_engine_panic(seed in any::<u64>(), same_boot in any::<bool>()) {
            let mut random = fastrand::Rng::with_seed(seed);
            let mut image = serde_json::to_value(&state().image).unwrap();
            poison(&mut image, &mut random);
            let Ok(image) = serde_json::from_value::<Image>(image) else { return Ok(()) };
            let mut engine = Engine::restore(config(), image, now(1_000.0), same_boot);
            engine.snapshot(now(1_000.0));
            live(&mut engine, 1_000);
            engine.snapshot(now(2_000.0));
            engine.reload(config(), now(2_000.0));
            live(&mut engine, 2_000);
            engine.image();
        }
    }
}
