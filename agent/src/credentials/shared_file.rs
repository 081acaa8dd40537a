//! The profiles of `~/.aws/credentials`. AWS defines no expiration there, but the tools that write temporary keys into it
//! write one beside them.

use std::path::{Path, PathBuf};

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Provider;
use super::document::time;
use super::file::{self, LARGE};
use super::homes::{Home, Homes};
use super::identity::name;
use super::lease::{Lease, Unavailable};
use super::provide::{Around, Provide, Renewal};
use super::round::{Read, Reading, Round};
use super::timestamp::{self, Basis, Timestamp};
use crate::aws::ini::{Dialect, Profile, Profiles};
use crate::host::zone::Zone;
use crate::setting;
use crate::setting::fault::{Environment, Fault, from_variable};
use crate::setting::path::absolute;
use crate::sys;
use crate::time::NANOS_PER_SECOND;

/// Where the file is in a home.
const PLACE: &str = ".aws/credentials";
/// The variable that names another file.
const FILE: &str = "AWS_SHARED_CREDENTIALS_FILE";
/// The keys under which tools write when the keys beside it expire; the first of them that a profile has counts. All
/// repeat what STS said: saml2aws and its relatives; aws-google-auth; aws-azure-login; aws-mfa and awsume; wrappers that
/// write what STS answered under the names of the environment.
const KEYS: [&str; 6] = [
    "x_security_token_expires",
    "aws_session_expiration",
    "aws_expiration",
    "expiration",
    "aws_credential_expiration",
    "aws_session_token_expiration",
];
/// What tools that are written in Go say where they do not know it.
const GO_ZERO: &str = "0001-01-01T00:00:00";
/// More profiles of a file are not watched one by one, which is told. A file of the largest size that is read holds hardly
/// more that have keys.
const MOST_PROFILES: usize = 4_096;
/// What stands for those.
const MORE: &str = "(more)";
/// The key and its secret.
const PAIR: [&str; 2] = ["aws_access_key_id", "aws_secret_access_key"];
/// aws-mfa keeps the lasting keys of a profile in another of this ending.
pub(crate) const LASTING: &str = "-long-term";

/// The files that are read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The homes whose files are read.
    pub homes: Vec<PathBuf>,
    /// The file in the place of that of the first home.
    pub file: Option<PathBuf>,
}

/// The shared credentials file, an absolute path. Default: AWS_SHARED_CREDENTIALS_FILE, or .aws/credentials of each
/// home.
#[derive(Clone, Deserialize, Serialize, JsonSchema)]
#[serde(transparent)]
#[schemars(inline)]
pub struct Written(#[schemars(regex(pattern = r"^/"))] pub String);

impl Provide for Settings {
    const NAME: &'static str = "shared-file";
    const RENEWAL: Renewal = Renewal::Tool;
    const RENEW: &'static str = "run the tool that writes this profile (`aws sso login`, saml2aws, aws-mfa, a cron job), or let the profile \
         have a credential_process or a role, which SDKs refresh by themselves";
    const READS: &'static str = "profiles of `~/.aws/credentials` with an expiration";
    const EXPIRES_BY: &'static str = "AWS";
    const REFERENCE: &'static str = r"
  # The shared credentials file, an absolute path. Default: AWS_SHARED_CREDENTIALS_FILE, or .aws/credentials of each home.
  #shared_file: /etc/aws/credentials
";

    type Written = Written;

    fn check(
        written: Option<&Written>,
        at: &setting::locate::Path,
        around: &Around<'_>,
    ) -> Result<Option<Self>, Fault> {
        let file = match written {
            Some(Written(path)) => Some(absolute(path, at)?),
            None => from_variable(around.env, FILE, |path| Ok(PathBuf::from(path)))?,
        };
        let is_asked = file.is_some() || !around.homes.is_empty();
        Ok(is_asked.then(|| Self { homes: around.homes.to_vec(), file }))
    }

    fn written(settings: Option<&Self>) -> Option<Written> {
        Some(Written(settings?.file.as_ref()?.display().to_string()))
    }

    fn reader(&self, _: Environment<'_>) -> Option<Box<dyn Read>> {
        Some(Box::new(SharedFile::new(self.homes.clone(), self.file.clone())))
    }
}

/// Reads when the temporary keys of profiles expire.
pub struct SharedFile {
    homes: Homes,
    /// The file in the place of that of the first home.
    named: Option<PathBuf>,
}

impl SharedFile {
    /// The files of `homes`. Where another file is named, that takes the place of the one of the first home.
    pub fn new(homes: Vec<PathBuf>, named: Option<PathBuf>) -> Self {
        Self { homes: Homes::new(homes), named }
    }
}

#[async_trait]
impl Read for SharedFile {
    fn provider(&self) -> Provider {
        Provider::SharedFile
    }

    async fn read(&mut self) -> Round {
        let (homes, mut named) = (self.homes.clone(), self.named.clone());
        let readings = move |home: &Home| match named.take() {
            Some(path) => readings(home, &path, true),
            None => readings(home, &home.path.join(PLACE), false),
        };
        Round::of(file::apart(move || homes.iter().flat_map(readings).collect()).await)
    }
}

/// One reading for each profile in the file at `path` that says when it expires. A file that is not there is one only where
/// somebody has named it.
fn readings(home: &Home, path: &Path, is_named: bool) -> Vec<Reading> {
    match file::read(path, LARGE) {
        Ok(content) => {
            let own = |lease| home.own(lease);
            let profiles = leases(&content.bytes);
            profiles.map(|(name, result)| Reading { slot: home.slot(&name), result: result.map(own) }).collect()
        }
        Err(Unavailable::NotFound) if !is_named => Vec::new(),
        Err(reason) => vec![Reading { slot: home.slot(""), result: Err(reason) }],
    }
}

/// The profiles that say when they expire, by name. The file does not say when one of them was written.
fn leases(text: &[u8]) -> impl Iterator<Item = (String, Result<Lease, Unavailable>)> {
    let profiles = Profiles::parse(Dialect::Credentials, text);
    let zone = Zone::of(sys::root());
    let mut expiring = profiles.iter().filter_map(|(profile, keys)| {
        let expiration = expires(&profiles, profile, keys, zone.as_ref())?;
        let name = name(profile).unwrap_or_else(|| "profile".to_owned());
        let identity = name.clone();
        let lease =
            |expiration| Lease { identity, code: None, kind: None, last_updated: None, expiration: Some(expiration) };
        Some((name, expiration.map(lease)))
    });
    let mut told: Vec<_> = expiring.by_ref().take(MOST_PROFILES).collect();
    if expiring.next().is_some() {
        told.push((MORE.to_owned(), Err(Unavailable::TooMany)));
    }
    told.into_iter()
}

/// When the keys of a profile expire; `None` where nobody says so, or where there are no keys that could.
///
/// A time without an offset is one of UTC or of the host's zone, as the tool has it that is known by a mark of its own.
///
/// # Errors
/// `Malformed` where it is no time, and `Ambiguous` where it could be either of two.
pub fn expires(
    profiles: &Profiles,
    name: &str,
    keys: &Profile,
    zone: Option<&Zone>,
) -> Option<Result<Timestamp, Unavailable>> {
    let has_keys = PAIR.iter().all(|key| keys.has(key) && !keys.is_empty(key));
    let text = expiration(keys).filter(|_| has_keys)?;
    let Some(unzoned) = timestamp::unzoned(text) else {
        return Some(
            timestamp::epoch(text).map_or_else(|| time(text, Basis::Server), |nanos| Ok(Basis::Server.at(nanos))),
        );
    };
    let local = zone.map(|zone| {
        let seconds = unzoned.div_euclid(NANOS_PER_SECOND);
        zone.moment(seconds).saturating_mul(NANOS_PER_SECOND).saturating_add(unzoned.rem_euclid(NANOS_PER_SECOND))
    });
    let is_of_awsume = keys.has("autoawsume") || keys.has("awsumepy_command") || keys.value("manager").is_some();
    let is_of_aws_mfa = keys.has("assumed_role") || profiles.get(&format!("{name}{LASTING}")).is_some();
    let nanos = match local {
        Some(local) if is_of_awsume || local == unzoned => Some(local),
        None if is_of_awsume => None,
        _ if is_of_aws_mfa => Some(unzoned),
        _ => None,
    };
    Some(nanos.map(|nanos| Basis::Server.at(nanos)).ok_or(Unavailable::Ambiguous))
}

fn expiration(keys: &Profile) -> Option<&str> {
    let said = KEYS.iter().filter_map(|key| keys.value(key)).map(|text| text.trim_matches(['"', '\'']));
    said.into_iter().find(|text| !text.is_empty() && !text.starts_with(GO_ZERO))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use proptest::prelude::*;

    use super::super::marked::assert_unmarked;
    use super::*;
    use crate::time::rfc3339;

    const KEYS_OF_A_PROFILE: &str = "aws_access_key_id = ASIAMARKER0KEY000000\n\
         aws_secret_access_key = MARKERsecretAccessKey\naws_session_token = MARKERsessionToken==\n";

    fn profile(name: &str, line: &str) -> String {
        format!("[{name}]\n{KEYS_OF_A_PROFILE}{line}\nregion = eu-central-1\n\n")
    }

    fn read(text: &str) -> Vec<(String, Result<Lease, Unavailable>)> {
        let leases: Vec<_> = leases(text.as_bytes()).collect();
        let readings = leases.iter().map(|(slot, result)| Reading { slot: slot.clone(), result: result.clone() });
        assert_unmarked(&Round::of(readings.collect()));
        leases
    }

    fn expiration_of(line: &str) -> Option<String> {
        let (_, result) = read(&profile("p", line)).into_iter().next()?;
        Some(
            result.map_or_else(|reason| reason.code().into_owned(), |lease| rfc3339(lease.expiration.unwrap().nanos())),
        )
    }

    #[test]
    fn every_way_in_which_a_tool_writes_an_expiration_is_read() {
        for line in [
            "x_security_token_expires = 2026-03-01T16:00:00Z",
            "x_security_token_expires = 2026-03-01T18:00:00+02:00",
            "X_Security_Token_Expires=2026-03-01T18:00:00+0200",
            "aws_session_expiration = 2026-03-01T16:00:00+0000",
            "aws_expiration = 2026-03-01T16:00:00.000Z",
            "aws_expiration = \"2026-03-01T16:00:00.000Z\"",
            "expiration = 2026-03-01 16:00:00",
            "aws_credential_expiration = 2026-03-01T16:00:00+00:00",
            "aws_session_expiration = 2026-03-01T16:00:00+00:00+0000",
            "x_security_token_expires = 1772380800",
            "aws_expiration = 1772380800000",
            "aws_session_token_expiration = 2026-03-01 16:00:00+00:00",
            "expiration = 2027-01-01 00:00:00\nx_security_token_expires = 2026-03-01T16:00:00Z",
            "x_security_token_expires = 0001-01-01T00:00:00Z\nexpiration = 2026-03-01 16:00:00",
        ] {
            assert_eq!(expiration_of(line).as_deref(), Some("2026-03-01T16:00:00.000Z"), "{line}");
        }
        for line in ["", "expiration =", "x_security_token_expires = 0001-01-01T00:00:00Z", "# expiration = 2026-03-01"]
        {
            assert_eq!(expiration_of(line), None, "{line}");
        }
        for line in ["expiration = MARKERsecret", "aws_expiration = 17723808", "expiration = tomorrow"] {
            assert_eq!(expiration_of(line).as_deref(), Some("malformed"), "{line}");
        }
    }

    #[test]
    fn each_profile_with_an_expiration_is_told_under_its_name() {
        let line = "expiration = 2026-03-01 16:00:00";
        let text = [
            profile("default", line),
            profile("static", ""),
            profile("web", line),
            profile("broken", "expiration = x"),
        ];
        let read = read(&text.concat());
        let told: Vec<_> = read.iter().map(|(name, result)| (name.as_str(), result.is_ok())).collect();
        assert_eq!(told, [("broken", false), ("default", true), ("web", true)]);
        let lease = read[1].1.clone().unwrap();
        assert_eq!((lease.identity.as_str(), lease.last_updated), ("default", None));
        assert_eq!(lease.expiration.unwrap().basis().name(), "server");
    }

    #[test]
    fn an_access_key_id_in_the_place_of_a_name_is_not_told() {
        let read = read(&profile("ASIAMARKER0KEY000000", "expiration = 2026-03-01 16:00:00"));
        assert_eq!(read[0].0, "profile");
    }

    #[test]
    fn a_file_of_any_length_has_a_bounded_number_of_readings() {
        let text: String =
            (0..MOST_PROFILES + 9).map(|n| profile(&format!("p{n}"), "expiration = 2026-03-01 16:00:00")).collect();
        let read = read(&text);
        assert_eq!(read.len(), MOST_PROFILES + 1);
        assert_eq!(read.last(), Some(&(MORE.to_owned(), Err(Unavailable::TooMany))));
    }

    #[test]
    fn a_time_without_an_offset_is_what_its_tool_means_or_told_as_ambiguous() {
        let east = Zone::read_rule("JST-9");
        let of = |text: &str, zone: Option<&Zone>| {
            let profiles = Profiles::parse(Dialect::Credentials, text.as_bytes());
            let told = expires(&profiles, "p", profiles.get("p").unwrap(), zone)?;
            Some(told.map_or_else(|reason| reason.code().into_owned(), |time| rfc3339(time.nanos())[11..16].to_owned()))
        };
        let line = "expiration = 2026-03-01 16:00:00";
        let plain = profile("p", line);
        let awsume = profile("p", &format!("{line}\nmanager = awsume"));
        let auto = profile("p", &format!("{line}\nautoawsume = true"));
        let mfa = profile("p", &format!("{line}\nassumed_role = False"));
        let beside = format!("{plain}{}", profile("p-long-term", ""));
        for (text, zone, expected) in [
            (&plain, Some(&east), "ambiguous"),
            (&plain, None, "ambiguous"),
            (&plain, Some(&Zone::default()), "16:00"),
            (&awsume, Some(&east), "07:00"),
            (&auto, Some(&east), "07:00"),
            (&awsume, None, "ambiguous"),
            (&mfa, Some(&east), "16:00"),
            (&beside, None, "16:00"),
        ] {
            assert_eq!(of(text, zone).as_deref(), Some(expected), "{text} {zone:?}");
        }
        let zoned = profile("p", "expiration = 2026-03-01 16:00:00+00:00\nmanager = awsume");
        assert_eq!(of(&zoned, Some(&east)).as_deref(), Some("16:00"));
    }

    #[test]
    fn an_expiration_without_keys_is_nobodys() {
        for keys in ["", "aws_access_key_id =\naws_secret_access_key =\n", "aws_access_key_id = a\n"] {
            assert_eq!(read(&format!("[p]\n{keys}expiration = 2026-03-01T16:00:00Z\n")), []);
        }
    }

    #[tokio::test]
    async fn the_files_of_all_homes_are_read_and_a_named_one_in_the_place_of_the_first() {
        let root = tempfile::tempdir().unwrap();
        let homes = ["root", "alice", "bob"].map(|name| root.path().join(name));
        let line = "expiration = 2026-03-01 16:00:00";
        for (home, name) in homes.iter().zip(["default", "default"]) {
            fs::create_dir_all(home.join(".aws")).unwrap();
            fs::write(home.join(PLACE), profile(name, line)).unwrap();
        }
        let named = root.path().join("named");
        let slots = async || {
            let env = |name: &str| (name == FILE).then(|| named.to_str().unwrap().to_owned());
            let unset = |_: &str| None;
            let mut slots = Vec::new();
            for env in [&unset as Environment<'_>, &env] {
                let at = setting::locate::Path::root("credentials");
                let settings = Settings::check(None, &at, &Around { env, homes: &homes });
                let settings = settings.unwrap_or_else(|_| panic!("refused")).unwrap();
                let mut provider = settings.reader(env).unwrap();
                assert_eq!(provider.provider(), Provider::SharedFile);
                let round = provider.read().await;
                assert_unmarked(&round);
                let told = |reading: Reading| (reading.slot, reading.result.err());
                slots.push(round.readings.into_iter().map(told).collect::<Vec<_>>());
            }
            slots
        };
        let ok = |slot: &str| (slot.to_owned(), None);
        let missing = (String::new(), Some(Unavailable::NotFound));
        assert_eq!(slots().await, [vec![ok("default"), ok("alice:default")], vec![missing, ok("alice:default")]]);
        fs::write(&named, profile("named", line)).unwrap();
        assert_eq!(slots().await[1], [ok("named"), ok("alice:default")]);
        fs::write(&named, "x".repeat(LARGE + 1)).unwrap();
        assert_eq!(slots().await[1][0], (String::new(), Some(Unavailable::TooLarge)));
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(text: Vec<u8>) {
            let _ = leases(&text).count();
        }
    }
}
