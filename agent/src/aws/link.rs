//! What the chains of the SDKs have in common: the places in which they look.

use std::net::IpAddr;
use std::path::Path;

use super::ini::Profile;
use super::processes::text::printable;
use super::step::{Failure, Given, How, Life, Step};
use super::view::{Presence, View};

/// The key of a profile that is static.
pub(super) const ID: &str = "aws_access_key_id";
/// Its secret.
pub(super) const SECRET: &str = "aws_secret_access_key";
const TOKENS: [&str; 2] = ["aws_session_token", "aws_security_token"];
const RELATIVE_URI: &str = "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI";
const FULL_URI: &str = "AWS_CONTAINER_CREDENTIALS_FULL_URI";
/// Those beside loopback to which an SDK sends the token of a container by plain HTTP.
const CONTAINER_HOSTS: [&str; 4] = ["localhost", "169.254.170.2", "169.254.170.23", "fd00:ec2::23"];
const DEFAULT: &str = "default";
/// Through how many profiles a chain of `source_profile` is followed. Roles are chained by twos and threes; whoever writes
/// thousands means to exhaust the stack of whoever reads them.
const DEEPEST: usize = 64;

/// What is in a place: credentials, a reason why it gives none, or nothing at all.
pub(super) type Found = Result<Option<Given>, Failure>;

/// What one place does to a search.
pub(super) enum Link {
    /// There is nothing in it.
    Passes,
    /// There is something that is passed over.
    Skips(Failure),
    /// It ends the search.
    Fails(Failure),
    /// It has credentials.
    Gives(Given),
}

impl Link {
    /// A place whose failure ends the search.
    pub(super) fn strict(found: Found) -> Self {
        found.map_or_else(Self::Fails, |given| given.map_or(Self::Passes, Self::Gives))
    }

    /// A place whose failure is passed over.
    pub(super) fn lenient(found: Found) -> Self {
        found.map_or_else(Self::Skips, |given| given.map_or(Self::Passes, Self::Gives))
    }
}

/// The profile that a search is about.
pub(super) struct Selected<'a> {
    /// Its name.
    pub(super) name: &'a str,
    /// Who asks for it; `None` where nobody does, and it is the default one.
    pub(super) by: Option<&'static str>,
}

impl<'a> Selected<'a> {
    /// By the first of some variables that is set.
    pub(super) fn by_variables(view: &'a View, variables: &[&'static str]) -> Self {
        if let Some(name) = &view.profile {
            return Self { name, by: Some("the program") };
        }
        match view.first_of(variables) {
            Some(variable) => Self { name: view.value(variable).unwrap_or(DEFAULT), by: Some(variable) },
            None => Self { name: DEFAULT, by: None },
        }
    }

    /// Why there is no such profile.
    pub(super) fn missing(&self) -> Failure {
        Failure::ProfileMissing { name: printable(self.name), by: self.by.unwrap_or("the SDK").to_owned() }
    }
}

/// The profiles through which a search has come, by `source_profile`.
#[derive(Default)]
pub(super) struct Trail<'a>(Vec<&'a str>);

impl<'a> Trail<'a> {
    /// One that begins at a profile.
    pub(super) fn at(name: &'a str) -> Self {
        Self(vec![name])
    }

    /// Goes on to a profile.
    ///
    /// # Errors
    /// When it has come through more than any real chain has.
    pub(super) fn enter(&mut self, name: &'a str) -> Result<(), Failure> {
        if self.0.len() >= DEEPEST {
            let start = self.0.first().copied().unwrap_or(name);
            return Err(invalid(
                start,
                format!("is followed through {DEEPEST} others by source_profile, and no further"),
            ));
        }
        self.0.push(name);
        Ok(())
    }

    /// Whether it has come through a profile.
    pub(super) fn has(&self, name: &str) -> bool {
        self.0.contains(&name)
    }

    /// Whether it has come through none.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The profile that named the next one.
    pub(super) fn last(&self) -> &'a str {
        self.0.last().copied().unwrap_or_default()
    }
}

/// Keys in the environment, of which each has several names, the first being the usual one.
pub(super) fn environment(view: &View, ids: &[&'static str], secrets: &[&'static str]) -> Found {
    let keys = (view.first_of(ids), view.first_of(secrets));
    pair(keys, (ids, secrets), token_of_environment(view), Step::Environment, "the environment")
}

/// The same for an SDK to which blanks are as good a key as any.
pub(super) fn environment_even_blank(view: &View, ids: &[&'static str], secrets: &[&'static str]) -> Found {
    let first = |names: &[&'static str]| names.iter().copied().find(|name| view.has_even_blank(name));
    let keys = (first(ids), first(secrets));
    pair(keys, (ids, secrets), token_of_environment(view), Step::Environment, "the environment")
}

fn token_of_environment(view: &View) -> Option<&'static str> {
    view.first_of(&["AWS_SESSION_TOKEN", "AWS_SECURITY_TOKEN"])
}

/// Keys in Java system properties.
pub(super) fn system_properties(view: &View, secrets: &[&'static str]) -> Found {
    let ids = ["aws.accessKeyId"];
    let first = |names: &[&'static str]| names.iter().copied().find(|name| view.has_property(name));
    let token = first(&["aws.sessionToken"]);
    pair((first(&ids), first(secrets)), (&ids, secrets), token, Step::SystemProperties, "the Java command line")
}

fn pair(
    keys: (Option<&'static str>, Option<&'static str>),
    (ids, secrets): (&[&'static str], &[&'static str]),
    token: Option<&'static str>,
    step: Step,
    place: &str,
) -> Found {
    let partial = |there: &str, missing: &[&'static str]| {
        let missing = missing.first().copied().unwrap_or_default().to_owned();
        Err(Failure::PartialKeys { place: place.to_owned(), there: there.to_owned(), missing })
    };
    match keys {
        (Some(id), Some(secret)) => {
            let life = if token.is_some() { Life::Unrenewed } else { Life::LongLived };
            let names = [Some(id), Some(secret), token].into_iter().flatten().collect::<Vec<_>>().join(", ");
            Ok(Some(Given { step, base: None, life, evidence: format!("{names} in {place}") }))
        }
        (Some(id), None) => partial(id, secrets),
        (None, Some(secret)) => partial(secret, ids),
        (None, None) => Ok(None),
    }
}

/// A role for a web identity token, both named by variables.
pub(super) fn web_identity(view: &View) -> Found {
    web_identity_of(view.value("AWS_WEB_IDENTITY_TOKEN_FILE"), view.value("AWS_ROLE_ARN"))
}

/// A role for a web identity token.
pub(super) fn web_identity_of(token: Option<&str>, role: Option<&str>) -> Found {
    match (token, role) {
        (Some(path), Some(role)) => {
            let evidence = format!("the web identity token {} for the role {}", printable(path), printable(role));
            Ok(Some(Given { step: Step::WebIdentity, base: None, life: Life::Refreshed, evidence }))
        }
        (Some(_), None) => Err(Failure::NoRoleArn),
        (None, _) => Ok(None),
    }
}

/// Keys that stand in a profile; a failure where one of the two is missing.
pub(super) fn static_keys(profile: &Profile, name: &str, place: &Path) -> Found {
    let place = format!("the profile {:?} of {}", printable(name), shown(place));
    let partial = |there: &str, missing: &str| {
        Err(Failure::PartialKeys { place: place.clone(), there: there.to_owned(), missing: missing.to_owned() })
    };
    match (profile.has(ID), profile.has(SECRET)) {
        (true, true) => {
            let is_temporary = TOKENS.iter().any(|token| profile.has(token) && !profile.is_empty(token));
            let life = if is_temporary { Life::Unrenewed } else { Life::LongLived };
            let names = if is_temporary { "keys and a session token" } else { "keys" };
            Ok(Some(given(name, How::Static, life, format!("{names} in {place}"))))
        }
        (true, false) => partial(ID, SECRET),
        (false, true) => partial(SECRET, ID),
        (false, false) => Ok(None),
    }
}

/// What a profile gives in another way than by keys or a role that is assumed.
pub(super) fn other(name: &str, how: How, place: &Path) -> Given {
    given(
        name,
        how,
        Life::Refreshed,
        format!("{} in the profile {:?} of {}", how.words(), printable(name), shown(place)),
    )
}

/// A role that a profile assumes with the credentials of another place.
pub(super) fn assumed(name: &str, how: How, base: Step, place: &Path) -> Given {
    Given { base: Some(base), ..other(name, how, place) }
}

/// Where the first credentials of a chain of roles come from.
pub(super) fn root(given: Given) -> Step {
    given.base.unwrap_or(given.step)
}

fn given(name: &str, how: How, life: Life, evidence: String) -> Given {
    Given { step: Step::Profile { name: printable(name), how }, base: None, life, evidence }
}

/// A path for output.
pub(super) fn shown(path: &Path) -> String {
    printable(&path.to_string_lossy())
}

/// Why a profile gives nothing.
pub(super) fn invalid(name: &str, reason: impl Into<String>) -> Failure {
    Failure::Profile { name: printable(name), reason: printable(&reason.into()) }
}

/// The file that a profile is shown to stand in, of the two that are taken together.
pub(super) fn place<'a>(view: &'a View, name: &str, key: &str) -> &'a Path {
    let has_it = view.credentials.profiles.get(name).is_some_and(|profile| profile.has(key));
    if has_it { &view.credentials.path } else { &view.config.path }
}

/// The role of a container, if the variables name its endpoint.
pub(super) fn container(view: &View) -> Found {
    let Some(variable) = view.first_of(&[RELATIVE_URI, FULL_URI]) else { return Ok(None) };
    if variable == FULL_URI && !is_trusted(view.value(FULL_URI).unwrap_or_default()) {
        return Err(Failure::ContainerRefused);
    }
    match view.container {
        Presence::No => Err(Failure::ContainerSilent { variable: variable.to_owned() }),
        Presence::Yes | Presence::Unknown => {
            let evidence = match view.value(variable) {
                Some(origin) => format!("{variable} names {}", printable(origin)),
                None => format!("{variable} is set"),
            };
            Ok(Some(Given { step: Step::Container, base: None, life: Life::Refreshed, evidence }))
        }
    }
}

/// The role of the instance, unless there is none or the metadata service is turned off.
pub(super) fn instance_role(view: &View, is_disabled: bool) -> Option<Given> {
    let evidence = match view.instance_role {
        _ if is_disabled => return None,
        Presence::No => return None,
        Presence::Yes => "the metadata service has a role",
        Presence::Unknown => "the metadata service was not asked for a role",
    };
    let evidence = evidence.to_owned();
    Some(Given { step: Step::InstanceRole, base: None, life: Life::Refreshed, evidence })
}

/// Whether `AWS_EC2_METADATA_DISABLED` is `true`, in any case of its letters.
pub(super) fn is_metadata_disabled(view: &View) -> bool {
    view.value("AWS_EC2_METADATA_DISABLED").is_some_and(|value| value.eq_ignore_ascii_case("true"))
}

fn is_trusted(origin: &str) -> bool {
    let Some((scheme, authority)) = origin.split_once("://") else { return false };
    let host = match authority.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => authority.split(':').next().unwrap_or_default(),
    };
    scheme == "https"
        || CONTAINER_HOSTS.contains(&host)
        || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}
