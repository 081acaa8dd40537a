//! What the processes of this host see of credentials, and what their SDKs pick.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::aws::chain::{Chain, Given, How, Life, Pick, Step, pick};
use crate::aws::known::Known;
use crate::aws::processes::process::{Library, Process};
use crate::aws::processes::properties::Properties;
use crate::aws::processes::view::View as Place;
use crate::aws::processes::view::home_of;
use crate::aws::view::{Presence, View, bytes, load};
use crate::credentials::shared_file::{LASTING, expires};
use crate::credentials::timestamp::{Timestamp, parse};
use crate::host::zone::Zone;
use crate::sys;

/// Properties by which Java is given keys.
const KEYS: [&str; 4] = ["aws.accessKeyId", "aws.secretAccessKey", "aws.secretKey", "aws.sessionToken"];

/// Somebody who may sign requests: a shell, or a process with an SDK.
pub struct Seen {
    /// Who it is, such as `this shell` or `process 4242 (java)`.
    pub who: String,
    /// The process; `None` for the shell in which the doctor was called.
    pub process: Option<u32>,
    /// What it sees.
    pub view: View,
    /// What its SDKs pick.
    pub picks: Vec<Pick>,
    /// Files that have more profiles than are read.
    pub cut_files: Vec<PathBuf>,
}

impl Seen {
    /// The shell in which the doctor was called, and the SDKs that might be used in it.
    pub fn shell(
        env: &dyn Fn(&str) -> Option<String>,
        profile: Option<&str>,
        instance_role: Presence,
        chains: &[Chain],
    ) -> Self {
        let user = sys::user();
        let listed = || home_of(&String::from_utf8_lossy(&load(&sys::root().join("etc/passwd")).ok()?), user);
        let home = || listed().or_else(|| env(sys::HOME).map(PathBuf::from));
        let mut view =
            View::new(env, Properties::of_variables(env), home().as_deref(), load, chains, &Known::default());
        view.profile = profile.map(str::to_owned);
        Self::new("this shell".to_owned(), None, view, instance_role, chains)
    }

    /// A process whose variables could be read, or that is given keys on its command line; `None` for any other. Where no
    /// SDK could be found in it, `by_all` lets every SDK pick.
    pub fn process(
        process: &Process,
        root: &Path,
        profile: Option<&str>,
        instance_role: Presence,
        by_all: bool,
        known: &Known,
    ) -> Option<Self> {
        let has_keys = KEYS.iter().any(|name| process.properties.has(name));
        let mut chains: Vec<Chain> = process.found.iter().filter_map(|found| chain(found.library)).collect();
        // Only a program of Java is given keys so, even if its libraries are hidden in an archive.
        if has_keys && !chains.iter().any(|chain| matches!(chain, Chain::JavaV1 | Chain::JavaV2)) {
            chains.push(Chain::JavaV2);
        }
        if chains.is_empty() && by_all {
            chains.extend(Chain::ALL);
        }
        chains.sort_unstable();
        chains.dedup();
        if process.environment.is_none() && !has_keys {
            return None;
        }
        let variable = |name: &str| process.environment.as_ref()?.stand_in(name).map(str::to_owned);
        let place = Place::of(root, process.pid);
        let load = |path: &Path| bytes(&place.find(path)?);
        let mut view = View::new(variable, process.properties.clone(), process.home.as_deref(), load, &chains, known);
        view.profile = profile.map(str::to_owned);
        let who = format!("process {} ({})", process.pid, process.command);
        Some(Self::new(who, Some(process.pid), view, instance_role, &chains))
    }

    fn new(who: String, process: Option<u32>, mut view: View, instance_role: Presence, chains: &[Chain]) -> Self {
        view.instance_role = instance_role;
        let picks: Vec<Pick> = chains.iter().map(|chain| pick(*chain, &view)).collect();
        let cut_files = view.cut_files().into_iter().map(Path::to_owned).collect();
        let picked = picks.iter().filter_map(|pick| match &pick.given()?.step {
            Step::Profile { name, .. } => Some(name.clone()),
            _ => None,
        });
        let mut names: BTreeSet<String> = picked.flat_map(|name| [format!("{name}{LASTING}"), name]).collect();
        names.insert(Self::profile_of(&view).to_owned());
        view.keep(&names);
        Self { who, process, view, picks, cut_files }
    }

    /// The profile whose settings count.
    fn profile_of(view: &View) -> &str {
        let by_variable = || view.first_of(&["AWS_PROFILE"]).and_then(|variable| view.value(variable));
        view.profile.as_deref().or_else(by_variable).unwrap_or("default")
    }

    /// What gives keys as properties of Java: variables, and the command line.
    pub fn givers_of_keys(&self) -> Vec<&'static str> {
        let set = KEYS.iter().filter(|name| self.view.has_property(name));
        let mut givers: Vec<_> =
            set.map(|name| self.view.giver_of_property(name).unwrap_or("the command line")).collect();
        givers.sort_unstable();
        givers.dedup();
        givers
    }

    /// The shared credentials file that it reads.
    pub const fn credentials_file(&self) -> &PathBuf {
        &self.view.credentials.path
    }

    /// What its profile says under a key that holds no secret.
    pub fn setting(&self, key: &str) -> Option<String> {
        self.view.profiles.get(Self::profile_of(&self.view))?.value(key).map(str::to_owned)
    }

    /// When the keys at `step` expire, in nanoseconds since the Unix epoch, as far as they say so.
    pub fn expiration(&self, step: &Step) -> Option<i64> {
        match step {
            Step::Environment => parse(self.view.value("AWS_CREDENTIAL_EXPIRATION")?),
            Step::Profile { name, how: How::Static } => {
                let (profiles, zone) = (&self.view.profiles, Zone::of(sys::root()));
                expires(profiles, name, profiles.get(name)?, zone.as_ref())?.ok().map(Timestamp::nanos)
            }
            _ => None,
        }
    }

    /// Where all of its SDKs find credentials that they refresh, before they would ask the metadata service; `None` where one
    /// would ask it. Keys that somebody has put there are no reason not to look: other processes do not have them.
    pub fn elsewhere(&self) -> Option<String> {
        let is_elsewhere = |given: &&Given| given.step != Step::InstanceRole && given.life == Life::Refreshed;
        let step = |pick: &Pick| pick.given().filter(is_elsewhere).map(|given| given.step.clone());
        let steps: Option<Vec<Step>> = self.picks.iter().map(step).collect();
        steps?.first().map(ToString::to_string)
    }
}

/// The chain of a library; `None` where it is not known.
const fn chain(library: Library) -> Option<Chain> {
    match library {
        Library::JavaV1 => Some(Chain::JavaV1),
        Library::Sdk(sdk) => sdk.row().chain,
        Library::GoV1 | Library::JsV2 => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_read_of_files_is_dropped_but_for_the_profile_that_is_picked() {
        let home = tempfile::tempdir().unwrap();
        let aws = home.path().join(".aws");
        std::fs::create_dir_all(&aws).unwrap();
        let keys = "aws_access_key_id=a\naws_secret_access_key=b\naws_session_token=c\n";
        let many: String = (0..5_000).map(|n| format!("[p{n}]\n{keys}")).collect();
        let expiring = format!("[a]\n{keys}expiration=2026-03-01T16:00:00Z\n[default]\nregion=eu-west-1\n");
        std::fs::write(aws.join("credentials"), expiring + &many).unwrap();
        let path = home.path().to_string_lossy().into_owned();
        let env = |name: &str| match name {
            "HOME" => Some(path.clone()),
            "JAVA_TOOL_OPTIONS" => Some("-Daws.profile=a".to_owned()),
            _ => None,
        };
        let seen = Seen::shell(&env, None, Presence::Yes, &[Chain::JavaV2]);
        let step = &seen.picks[0].given().unwrap().step;
        assert_eq!(seen.expiration(step), parse("2026-03-01T16:00:00Z"), "{step:?}");
        assert_eq!(seen.setting("region").as_deref(), Some("eu-west-1"));
        assert_eq!(seen.view.profiles.iter().map(|(name, _)| name).collect::<Vec<_>>(), ["a", "default"]);
        assert_eq!(seen.cut_files, [aws.join("credentials")]);
    }

    #[test]
    fn keys_among_properties_are_given_by_a_variable_or_on_the_command_line() {
        let env = |name: &str| {
            (name == "JAVA_TOOL_OPTIONS").then(|| "-Daws.accessKeyId=a -Daws.secretAccessKey=b".to_owned())
        };
        let shell = Seen::shell(&env, None, Presence::Yes, &[Chain::JavaV2]);
        assert_eq!(shell.picks[0].given().unwrap().step, Step::SystemProperties);
        assert_eq!(shell.givers_of_keys(), ["JAVA_TOOL_OPTIONS"]);
    }
}
