//! How the SDKs for .NET look for credentials. Version 3 has the environment last of all but the roles, version 4 has it first.
//! Both pass over whatever is wrong, but that version 4 stops at a profile that is asked for and missing.
//!
//! Sources: `FallbackCredentialsFactory.cs` of aws-sdk-net 3.7 and `DefaultAWSCredentialsIdentityResolver.cs` of 4.0 for the
//! orders; of both `CredentialProfileStoreChain.cs` for where profiles are, `CredentialProfileTypeDetector.cs` for what they are,
//! `AWSCredentialsFactory.cs` for what comes of them, `AssumeRoleWithWebIdentityCredentials.cs`,
//! `EnvironmentVariablesAWSCredentials.cs` and `GenericContainerCredentials.cs`. What an `App.config` of the .NET Framework says
//! comes before all of that, and cannot be seen.

use std::path::Path;

use super::ini::Profile;
use super::link::{self, Found, ID, Link, SECRET, Selected, Trail};
use super::step::{Failure, Given, How, Step};
use super::view::{File, View};

const IDS: [&str; 1] = ["AWS_ACCESS_KEY_ID"];
const SECRETS: [&str; 2] = ["AWS_SECRET_ACCESS_KEY", "AWS_SECRET_KEY"];
pub(super) const DEFAULT: &str = "default";
const TOKEN: &str = "aws_session_token";
const ROLE: &str = "role_arn";
const SOURCE: &str = "source_profile";
const NAMED_SOURCE: &str = "credential_source";
const WEB_IDENTITY: &str = "web_identity_token_file";
const SESSION_NAME: &str = "role_session_name";
const MFA: &str = "mfa_serial";
const EXTERNAL_ID: &str = "external_id";
const PROCESS: &str = "credential_process";
const SAML: &str = "endpoint_name";
const LOGIN: &str = "login_session";
/// The keys that make up what a profile is, in the order in which they are compared.
const OPTIONS: [&str; 12] =
    [ID, SECRET, TOKEN, ROLE, SOURCE, NAMED_SOURCE, WEB_IDENTITY, EXTERNAL_ID, MFA, SESSION_NAME, PROCESS, SAML];
const SSO: [&str; 5] = ["sso_account_id", "sso_region", "sso_role_name", "sso_start_url", "sso_session"];

/// What version 3 makes of a view, in its order.
pub(super) fn links_v3(view: &View) -> Vec<Link> {
    let selected = selected(view);
    if view.profile.is_some() {
        return named(view, &selected);
    }
    let mut links = vec![Link::lenient(web_identity(view))];
    links.extend(profile(view, &selected, Asking::Nobody).into_iter().map(Link::lenient));
    links.push(Link::lenient(environment(view)));
    links.push(role(view));
    links
}

/// What version 4 makes of a view, in its order.
pub(super) fn links_v4(view: &View) -> Vec<Link> {
    let selected = selected(view);
    if view.profile.is_some() {
        return named(view, &selected);
    }
    let mut links = first_v4(view, &selected);
    links.push(role(view));
    links
}

/// All of version 4 but the roles of the container and of the instance.
pub(super) fn first_v4(view: &View, selected: &Selected<'_>) -> Vec<Link> {
    let mut links = vec![Link::lenient(environment(view)), Link::lenient(web_identity(view))];
    links.extend(profile(view, selected, Asking::Nobody).into_iter().map(|found| match found {
        Err(failure @ Failure::ProfileMissing { .. }) => Link::strict(Err(failure)),
        found => Link::lenient(found),
    }));
    links
}

/// Where a program names its profile, it gets that or an error.
fn named(view: &View, selected: &Selected<'_>) -> Vec<Link> {
    profile(view, selected, Asking::Nobody).into_iter().map(Link::strict).collect()
}

pub(super) fn selected(view: &View) -> Selected<'_> {
    Selected::by_variables(view, &["AWS_PROFILE"])
}

/// Blanks are as good a key as any.
pub(super) fn environment(view: &View) -> Found {
    link::environment_even_blank(view, &IDS, &SECRETS)
}

fn web_identity(view: &View) -> Found {
    let found = link::web_identity(view)?;
    match view.value("AWS_WEB_IDENTITY_TOKEN_FILE") {
        Some(path) if !Path::new(path).is_absolute() => Err(Failure::RelativeToken),
        _ => Ok(found),
    }
}

/// The role of the container takes the place of that of the instance, whether its endpoint answers or not.
pub(super) fn role(view: &View) -> Link {
    match link::container(view) {
        Ok(None) => Link::strict(Ok(instance_role(view))),
        found => Link::strict(found),
    }
}

fn instance_role(view: &View) -> Option<Given> {
    link::instance_role(view, link::is_metadata_disabled(view))
}

/// Whom the SDK can ask for the code of a device.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Asking {
    /// Whoever sits at the terminal.
    Terminal,
    /// Nobody: a profile that needs a code is an error.
    Nobody,
}

/// What the profile gives, and behind that what another of the same name would, that the store hides.
pub(super) fn profile(view: &View, selected: &Selected<'_>, asking: Asking) -> Vec<Found> {
    let name = selected.name;
    let look = |places: Places<'_>| {
        match places.profile(name)? {
            Some(_) => resolved(&places, name, &mut Trail::default(), asking),
            // Whoever asks for the default one by the variable has not asked for any.
            None if selected.by.is_none() || (view.profile.is_none() && name.eq_ignore_ascii_case(DEFAULT)) => Ok(None),
            None => Err(selected.missing()),
        }
    };
    let places = Places { view, has_store: true };
    let is_stored = places.stored(name).is_some();
    let found = look(places);
    let hidden = is_stored.then(|| look(Places { view, has_store: false }).ok().flatten()).flatten();
    match (found, hidden) {
        (Ok(Some(given)), Some(hidden)) => vec![Ok(Some(given)), Ok(Some(hidden))],
        (Ok(None), Some(_)) => {
            vec![Err(link::invalid(name, "has no credentials in the SDK store, which hides that of the shared files"))]
        }
        (found, _) => vec![found],
    }
}

/// Whether a profile is there, and gives nothing by itself.
pub(super) fn is_of_no_kind(view: &View, name: &str) -> bool {
    let found = Places { view, has_store: true }.profile(name);
    found.is_ok_and(|profile| profile.is_some_and(|profile| matches!(Type::of(profile), Type::Invalid | Type::Empty)))
}

/// Where profiles are looked for: in the store first, and then in the two shared files.
struct Places<'a> {
    view: &'a View,
    has_store: bool,
}

impl<'a> Places<'a> {
    /// The profile of a name. The shared files are not read for one that the store has; one bad line spoils both.
    fn profile(&self, name: &str) -> Result<Option<&'a Profile>, Failure> {
        if let Some(profile) = self.stored(name) {
            return Ok(Some(profile));
        }
        match [&self.view.credentials, &self.view.config].into_iter().find_map(refused) {
            Some(failure) => Err(failure),
            None => Ok(self.view.profiles.get(name)),
        }
    }

    fn stored(&self, name: &str) -> Option<&'a Profile> {
        self.view.store.profiles.get(&name.to_ascii_lowercase()).filter(|_| self.has_store)
    }

    fn place(&self, name: &str, key: &str) -> &'a Path {
        if self.stored(name).is_some() { &self.view.store.path } else { link::place(self.view, name, key) }
    }

    /// What a profile gives, known to be of the store where it is.
    fn given(&self, name: &str, given: Given) -> Given {
        match given.step {
            Step::Profile { name: own, how } if self.stored(name).is_some() => {
                Given { step: Step::SdkStore { name: own, how }, ..given }
            }
            step => Given { step, ..given },
        }
    }
}

fn refused(file: &File) -> Option<Failure> {
    let by_system = file.fault.map(|fault| fault.to_string());
    let reason = by_system.or_else(|| Some(file.refused.as_ref()?.to_string()))?;
    Some(Failure::File { path: link::shown(&file.path), reason })
}

/// What a profile is, by the exact set of its keys: one that has keys and a role is neither.
enum Type {
    Keys,
    Role { needs_code: bool },
    NamedSource,
    WebIdentity,
    Process,
    Login,
    Saml,
    Sso,
    Empty,
    Invalid,
}

impl Type {
    fn of(profile: &Profile) -> Self {
        // What is empty is not there.
        let has = |key: &str| profile.has(key) && !profile.is_empty(key) && profile.value(key) != Some("");
        if SSO.iter().any(|key| has(key)) {
            return Self::Sso;
        }
        let keys: Vec<&str> = OPTIONS.into_iter().filter(|key| has(key)).collect();
        match keys.as_slice() {
            // A session of `aws login` counts where the rest is nothing by itself.
            [] if !has(LOGIN) => Self::Empty,
            [ID, SECRET] | [ID, SECRET, TOKEN] => Self::Keys,
            [ROLE, SOURCE] | [ROLE, SOURCE, EXTERNAL_ID | SESSION_NAME] | [ROLE, SOURCE, EXTERNAL_ID, SESSION_NAME] => {
                Self::Role { needs_code: false }
            }
            // Where a session has a name, a code is missed when the role is assumed, and not before.
            [ROLE, SOURCE, MFA, SESSION_NAME] | [ROLE, SOURCE, EXTERNAL_ID, MFA, SESSION_NAME] => {
                Self::Role { needs_code: false }
            }
            [ROLE, SOURCE, MFA] | [ROLE, SOURCE, EXTERNAL_ID, MFA] => Self::Role { needs_code: true },
            [ROLE, NAMED_SOURCE] | [ROLE, NAMED_SOURCE, SESSION_NAME] => Self::NamedSource,
            [ROLE, WEB_IDENTITY] | [ROLE, WEB_IDENTITY, SESSION_NAME] => Self::WebIdentity,
            [PROCESS] => Self::Process,
            [ROLE, SAML] => Self::Saml,
            _ if has(LOGIN) => Self::Login,
            _ => Self::Invalid,
        }
    }
}

/// What a profile gives that there is.
fn resolved<'a>(places: &Places<'a>, name: &'a str, trail: &mut Trail<'a>, asking: Asking) -> Found {
    let Some(profile) = places.profile(name)? else {
        return Err(link::invalid(trail.last(), format!("has a source_profile that there is not: {name}")));
    };
    let is_source = !trail.is_empty();
    let by_key = |key, how| Ok(Some(link::other(name, how, places.place(name, key))));
    let found = match Type::of(profile) {
        Type::Empty if is_source => Err(link::invalid(name, "has no credentials, and is a source_profile")),
        Type::Empty => Ok(None),
        Type::Keys => link::static_keys(profile, name, places.place(name, ID)),
        // Nobody is asked for the code of a source.
        Type::Role { needs_code: true } if asking == Asking::Nobody && !is_source => {
            Err(link::invalid(name, "needs a code for its mfa_serial, which nobody is asked for"))
        }
        Type::Role { .. } => assumed(places, profile, name, trail, asking),
        Type::NamedSource => named_source(places, profile, name),
        Type::WebIdentity if profile.value(WEB_IDENTITY).is_some_and(|path| !Path::new(path).is_absolute()) => {
            Err(link::invalid(name, "has a web_identity_token_file that is no absolute path"))
        }
        Type::WebIdentity => by_key(WEB_IDENTITY, How::WebIdentity),
        Type::Process => by_key(PROCESS, How::Process),
        Type::Login => by_key(LOGIN, How::Login),
        Type::Saml => by_key(SAML, How::Saml),
        Type::Sso => sso(places, profile, name),
        Type::Invalid => Err(invalid(profile, name)),
    };
    Ok(found?.map(|given| places.given(name, given)))
}

fn assumed<'a>(
    places: &Places<'a>,
    profile: &'a Profile,
    name: &'a str,
    trail: &mut Trail<'a>,
    asking: Asking,
) -> Found {
    if trail.has(name) {
        return Err(link::invalid(name, "is part of a circle of source_profile"));
    }
    trail.enter(name)?;
    let source = profile.value(SOURCE).unwrap_or_default();
    let base = resolved(places, source, trail, asking)?;
    Ok(base.map(|base| link::assumed(name, How::AssumeRole, link::root(base), places.place(name, ROLE))))
}

fn named_source(places: &Places<'_>, profile: &Profile, name: &str) -> Found {
    let (view, source) = (places.view, profile.value(NAMED_SOURCE).unwrap_or_default());
    let found = match source.to_ascii_lowercase().as_str() {
        "environment" => environment(view)?,
        "ecscontainer" => link::container(view)?,
        "ec2instancemetadata" => instance_role(view),
        _ => return Err(link::invalid(name, format!("has a credential_source that there is not: {source}"))),
    };
    let base = found.ok_or_else(|| link::invalid(name, format!("finds nothing in {source}")))?;
    Ok(Some(link::assumed(name, How::CredentialSource, base.step, places.place(name, ROLE))))
}

/// As if somebody had signed in: where nobody has, the profile is passed over.
fn sso(places: &Places<'_>, profile: &Profile, name: &str) -> Found {
    let session = match profile.value("sso_session").filter(|session| !session.is_empty()) {
        None => profile,
        // What it says takes the place of what the profile says, also where it says nothing.
        Some(session) => places
            .view
            .profiles
            .sso_session(session)
            .ok_or_else(|| link::invalid(name, format!("has an sso_session that there is not: {session}")))?,
    };
    if session.value("sso_region").is_none_or(str::is_empty) {
        return Err(link::invalid(name, "is for IAM Identity Center, but has no sso_region"));
    }
    Ok(Some(link::other(name, How::Sso, places.place(name, "sso_account_id"))))
}

/// Why a profile with keys of several kinds, or with too few, gives nothing.
fn invalid(profile: &Profile, name: &str) -> Failure {
    let keys: Vec<&str> = OPTIONS.into_iter().filter(|key| profile.has(key)).collect();
    link::invalid(name, format!("is of no kind that .NET knows: it has {}", keys.join(", ")))
}

#[cfg(test)]
pub(super) mod tests {
    use std::io::ErrorKind;

    use super::*;
    use crate::aws::chain::{Chain, Outcome, Pick, pick};
    use crate::aws::known::Known;
    use crate::aws::processes::properties::Properties;
    use crate::aws::view::Presence;

    pub(in crate::aws) const KEYS: &str = "aws_access_key_id=a\naws_secret_access_key=b\n";
    pub(in crate::aws) const ALL: [Chain; 4] =
        [Chain::DotNetV3, Chain::DotNetV4, Chain::PowerShellV4, Chain::PowerShellV5];
    pub(in crate::aws) const STORE: &str = "/l/AWSToolkit/RegisteredAccounts.json";

    /// A process on an instance that has a role.
    pub(in crate::aws) fn view(variables: &[(&str, &str)], files: &[(&str, &str)]) -> View {
        let variable = |name: &str| {
            let usual = (name == "HOME").then_some("/h");
            let set = variables.iter().find(|(known, _)| *known == name).map(|(_, value)| *value);
            set.or(usual).map(str::to_owned)
        };
        let load = |path: &Path| {
            let found = files.iter().find(|(known, _)| Path::new(known) == path);
            found.map(|(_, text)| text.as_bytes().to_owned()).ok_or_else(|| ErrorKind::NotFound.into())
        };
        let mut view = View::new(variable, Properties::default(), None, load, &Chain::ALL, &Known::default());
        view.instance_role = Presence::Yes;
        view
    }

    /// What a profile of these lines gives to version 4 for .NET, beside one that has keys.
    fn of(lines: &str) -> Pick {
        let files = [("/h/.aws/config", format!("[profile a]\n{lines}\n[profile k]\n{KEYS}"))];
        let files = files.each_ref().map(|(path, text)| (*path, text.as_str()));
        pick(Chain::DotNetV4, &view(&[("AWS_PROFILE", "a")], &files))
    }

    pub(in crate::aws) fn steps(view: &View) -> Vec<String> {
        ALL.iter().map(|chain| pick(*chain, view).outcome.to_string()).collect()
    }

    #[cfg(unix)]
    #[test]
    fn a_profile_is_what_the_exact_set_of_its_keys_says() {
        for (lines, how) in [
            (KEYS, How::Static),
            ("aws_access_key_id=a\naws_secret_access_key=b\naws_session_token=c\n", How::Static),
            ("role_arn=r\nsource_profile=k\nexternal_id=e\nrole_session_name=s\nregion=x\n", How::AssumeRole),
            ("role_arn=r\ncredential_source=ec2instancemetadata\n", How::CredentialSource),
            ("role_arn=r\nweb_identity_token_file=/t\n", How::WebIdentity),
            ("credential_process=/opt/tool\n", How::Process),
            ("login_session=arn\n", How::Login),
            ("login_session=arn\nrole_arn=r\n", How::Login),
            ("login_session=arn\ncredential_process=/opt/tool\n", How::Process),
            ("sso_region=r\nsso_account_id=1\naws_access_key_id=a\n", How::Sso),
        ] {
            let pick = of(lines);
            let step = &pick.given().unwrap_or_else(|| panic!("{lines}: {pick:?}")).step;
            assert_eq!(*step, Step::Profile { name: "a".to_owned(), how }, "{lines}");
        }
    }

    #[test]
    fn a_profile_of_no_kind_is_passed_over_on_the_way_to_the_role() {
        for (lines, reason) in [
            ("aws_access_key_id=a", "is of no kind that .NET knows: it has aws_access_key_id"),
            ("role_arn=r", "is of no kind that .NET knows: it has role_arn"),
            (
                "role_arn=r\nsource_profile=a\naws_access_key_id=a\naws_secret_access_key=b",
                "aws_secret_access_key, role_arn",
            ),
            ("role_arn=r\nsource_profile=a", "is part of a circle of source_profile"),
            ("role_arn=r\nsource_profile=x", "has a source_profile that there is not: x"),
            ("role_arn=r\nsource_profile=k\nmfa_serial=m", "needs a code for its mfa_serial"),
            ("role_arn=r\ncredential_source=moon", "has a credential_source that there is not: moon"),
            ("role_arn=r\nweb_identity_token_file=t", "no absolute path"),
            ("sso_session=s", "has an sso_session that there is not: s"),
            ("sso_start_url=u", "but has no sso_region"),
        ] {
            let pick = of(lines);
            assert_eq!(pick.given().map(|given| &given.step), Some(&Step::InstanceRole), "{lines}");
            let told: Vec<_> = pick.passed_over.iter().map(ToString::to_string).collect();
            assert!(told.len() == 1 && told[0].contains(reason), "{lines}: {told:?}");
        }
        let nothing = of("region=x");
        assert_eq!(
            (nothing.given().map(|given| &given.step), nothing.passed_over.len()),
            (Some(&Step::InstanceRole), 0)
        );
    }

    #[test]
    fn a_profile_with_a_device_is_one_for_whoever_can_be_asked_for_its_code() {
        let lines = format!("[default]\nrole_arn=r\nsource_profile=k\nmfa_serial=m\n[k]\n{KEYS}");
        let view = view(&[], &[("/h/.aws/credentials", &lines)]);
        let role = "a role by source_profile in the profile \"default\"";
        let instance = "the role of the instance";
        assert_eq!(steps(&view), [instance, instance, role, instance]);
    }

    #[cfg(unix)]
    #[test]
    fn the_usual_file_is_read_where_the_one_that_is_named_is_not_there_and_the_configuration_beside_it() {
        let files = [
            ("/h/.aws/credentials", "[default]\naws_access_key_id=a\naws_secret_access_key=b\n"),
            ("/x/credentials", "[other]\n"),
            ("/x/config", "[default]\ncredential_process=/opt/tool\n"),
        ];
        let place = |variables: &[(&str, &str)]| {
            let pick = pick(Chain::DotNetV4, &view(variables, &files));
            pick.given().map(|given| given.evidence.clone()).unwrap_or_default()
        };
        let usual = "keys in the profile \"default\" of /h/.aws/credentials";
        assert_eq!(place(&[]), usual);
        assert_eq!(place(&[("AWS_SHARED_CREDENTIALS_FILE", "/gone")]), usual);
        assert_eq!(place(&[("AWS_SHARED_CREDENTIALS_FILE", "~/.aws/credentials")]), usual, "no ~ is known");
        let beside = "credential_process in the profile \"default\" of /x/config";
        assert_eq!(place(&[("AWS_SHARED_CREDENTIALS_FILE", "/x/credentials")]), beside);
        let apart = [("AWS_SHARED_CREDENTIALS_FILE", "/x/credentials"), ("AWS_CONFIG_FILE", "/gone")];
        assert_eq!(place(&apart), "the metadata service has a role");
        let on_windows = [("HOME", ""), ("USERPROFILE", "/h")];
        assert_eq!(place(&on_windows), usual);
        assert_eq!(place(&[("HOME", "")]), "the metadata service has a role");
    }

    #[cfg(unix)]
    #[test]
    fn a_relative_token_is_passed_over_and_half_a_pair_and_a_bad_file_too() {
        let token = [("AWS_WEB_IDENTITY_TOKEN_FILE", "t"), ("AWS_ROLE_ARN", "r"), ("AWS_ACCESS_KEY_ID", "a")];
        let view = view(&token, &[("/h/.aws/credentials", "[default]\nx\n")]);
        let pick = pick(Chain::DotNetV4, &view);
        assert_eq!(pick.given().unwrap().step, Step::InstanceRole);
        let told: Vec<_> = pick.passed_over.iter().map(ToString::to_string).collect();
        assert_eq!(
            told,
            [
                "AWS_ACCESS_KEY_ID is set in the environment, and AWS_SECRET_ACCESS_KEY is not",
                "AWS_WEB_IDENTITY_TOKEN_FILE is no absolute path",
                "/h/.aws/credentials is refused: line 2 cannot be read",
            ]
        );
    }

    #[test]
    fn a_container_is_the_end_whether_it_answers_or_may_be_asked() {
        let mut one = view(&[("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://169.254.170.23/v1/credentials")], &[]);
        assert_eq!(steps(&one), ["the role of the container"; 4]);
        one.container = Presence::No;
        let other = view(&[("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://example.com/")], &[]);
        for view in [&one, &other] {
            assert!(
                ALL.iter().all(|chain| matches!(pick(*chain, view).outcome, Outcome::Failed(_))),
                "{:?}",
                steps(view)
            );
        }
    }

    #[cfg(unix)]
    #[test]
    fn the_store_comes_before_the_shared_files_and_hides_what_they_have_of_the_same_name() {
        let store = r#"{"1": {"DisplayName": "Default", "AWSAccessKey": "01", "AWSSecretKey": "01"},
                        "2": {"DisplayName": "role", "RoleArn": "r", "SourceProfile": "default"}}"#;
        let shared = "[default]\ncredential_process=/opt/tool\n[other]\nx=\n";
        let files = [(STORE, store), ("/h/.aws/credentials", shared)];
        let on_windows = view(&[("LOCALAPPDATA", "/l")], &files);
        for chain in ALL {
            let pick = pick(chain, &on_windows);
            let given = pick.given().unwrap();
            assert_eq!(given.step, Step::SdkStore { name: "default".to_owned(), how: How::Static }, "{chain}");
            assert_eq!(given.evidence, format!("keys in the profile \"default\" of {STORE}"));
            let shadows: Vec<_> = pick.shadows.iter().map(|given| given.step.clone()).collect();
            let hidden = Step::Profile { name: "default".to_owned(), how: How::Process };
            assert_eq!(shadows, [hidden, Step::InstanceRole], "{chain}");
        }
        // Nobody else has it, and a source is looked for in both places.
        assert_eq!(
            pick(Chain::Botocore, &on_windows).outcome.to_string(),
            "credential_process in the profile \"default\""
        );
        let role = pick(Chain::DotNetV3, &view(&[("LOCALAPPDATA", "/l"), ("AWS_PROFILE", "Role")], &files));
        let given = role.given().unwrap();
        assert_eq!(given.step, Step::SdkStore { name: "Role".to_owned(), how: How::AssumeRole });
        assert_eq!(given.base, Some(Step::SdkStore { name: "default".to_owned(), how: How::Static }));
        assert_eq!(steps(&view(&[], &files)), ["credential_process in the profile \"default\""; 4]);
    }

    #[test]
    fn a_profile_of_the_store_without_keys_hides_that_of_the_shared_files() {
        let store = r#"{"1": {"DisplayName": "default", "Region": "us-east-1"}}"#;
        let shared = format!("[default]\n{KEYS}");
        let hidden = view(&[("LOCALAPPDATA", "/l")], &[(STORE, store), ("/h/.aws/credentials", &shared)]);
        assert_eq!(steps(&hidden), ["the role of the instance"; 4]);
        let told = pick(Chain::DotNetV4, &hidden).passed_over.iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(
            told,
            ["the profile \"default\" has no credentials in the SDK store, which hides that of the shared files"]
        );
    }

    #[test]
    fn a_profile_of_the_store_is_used_although_the_shared_files_are_spoilt() {
        let store = r#"{"1": {"DisplayName": "default", "RoleArn": "r", "EndpointName": "adfs"}}"#;
        let files = [(STORE, store), ("/h/.aws/credentials", "x\n")];
        let spoilt = view(&[("LOCALAPPDATA", "/l")], &files);
        assert_eq!(steps(&spoilt), ["a role by SAML in the profile \"default\" of the SDK store"; 4]);
    }
}
