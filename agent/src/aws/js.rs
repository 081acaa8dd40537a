//! How version 3 of the SDK for JavaScript looks for credentials. A profile that a variable names makes it pass over keys in
//! the environment, and it passes over most of what is wrong, but for profiles of IAM Identity Center.

use super::ini::Profile;
use super::link::{self, Found, ID, Link, SECRET, Selected, Trail};
use super::step::{Failure, Given, How, Step};
use super::view::View;

const IDS: [&str; 1] = ["AWS_ACCESS_KEY_ID"];
const SECRETS: [&str; 1] = ["AWS_SECRET_ACCESS_KEY"];
const SSO: [&str; 5] = ["sso_start_url", "sso_account_id", "sso_session", "sso_region", "sso_role_name"];

/// What it makes of a view, in its order.
pub(super) fn links(view: &View) -> Vec<Link> {
    let selected = Selected::by_variables(view, &["AWS_PROFILE"]);
    let mut links = Vec::new();
    if selected.by.is_none() {
        links.push(Link::lenient(environment(view)));
    }
    let by_profile = match view.profiles.get(selected.name) {
        None if selected.by.is_none() => Ok(None),
        None => Err(Fault::Passed(selected.missing())),
        Some(_) => profile(view, selected.name, &mut Trail::default()),
    };
    // Where the profile gives nothing, its process is asked all the same.
    let process = view.profiles.get(selected.name).is_some_and(|profile| profile.has("credential_process"));
    let process = process && matches!(by_profile, Err(Fault::Passed(_)));
    links.push(match by_profile {
        Err(Fault::Final(failure)) => Link::strict(Err(failure)),
        Err(Fault::Passed(failure)) => Link::lenient(Err(failure)),
        Ok(found) => Link::lenient(Ok(found)),
    });
    if process {
        let place = link::place(view, selected.name, "credential_process");
        links.push(Link::lenient(Ok(Some(link::other(selected.name, How::Process, place)))));
    }
    links.push(Link::lenient(link::web_identity(view)));
    match link::container(view) {
        // The instance is not asked where a variable names a container.
        Err(failure) => links.push(Link::lenient(Err(failure))),
        found => links.extend([Link::strict(found), Link::strict(Ok(instance_role(view)))]),
    }
    links
}

/// What keeps a profile from giving anything.
enum Fault {
    /// The next link is tried.
    Passed(Failure),
    /// The search is over.
    Final(Failure),
}

impl From<Failure> for Fault {
    fn from(failure: Failure) -> Self {
        Self::Passed(failure)
    }
}

fn environment(view: &View) -> Found {
    link::environment_even_blank(view, &IDS, &SECRETS)
}

/// Anything but `false` turns the metadata service off.
fn instance_role(view: &View) -> Option<Given> {
    let is_disabled = view.value("AWS_EC2_METADATA_DISABLED").is_some_and(|value| value != "false");
    link::instance_role(view, is_disabled)
}

fn profile<'a>(view: &'a View, name: &'a str, trail: &mut Trail<'a>) -> Result<Option<Given>, Fault> {
    let Some(profile) = view.profiles.get(name) else {
        let parent = trail.last();
        return Err(link::invalid(parent, format!("has a source_profile that there is not: {name}")).into());
    };
    let by_key = |key, how| Ok(Some(link::other(name, how, link::place(view, name, key))));
    let keys = || Ok(link::static_keys(profile, name, link::place(view, name, ID))?);
    let has_keys = profile.has(ID) && profile.has(SECRET);
    let is_source = !trail.is_empty();
    if is_source && has_keys {
        return keys();
    }
    let ways = (profile.value("source_profile"), profile.value("credential_source"));
    match ways {
        (Some(source), None) if profile.has("role_arn") => {
            if trail.has(source) {
                return Err(link::invalid(name, "is part of a circle of source_profile").into());
            }
            trail.enter(source)?;
            let base = self::profile(view, source, trail)?
                .ok_or_else(|| link::invalid(source, "has no credentials, and is a source_profile"))?;
            return Ok(Some(assumed(view, name, How::AssumeRole, link::root(base))));
        }
        // As the source of another profile it needs no role of its own.
        (None, Some(source)) if profile.has("role_arn") || is_source => {
            let base = named_source(view, name, source)?;
            return Ok(Some(assumed(view, name, How::CredentialSource, base)));
        }
        _ => {}
    }
    if has_keys {
        return keys();
    }
    if profile.has("web_identity_token_file") && profile.has("role_arn") {
        return by_key("web_identity_token_file", How::WebIdentity);
    }
    if profile.has("credential_process") {
        return by_key("credential_process", How::Process);
    }
    if SSO.iter().any(|key| profile.has(key)) {
        return sso(view, profile, name).map_err(Fault::Final);
    }
    if profile.has("login_session") {
        return by_key("login_session", How::Login);
    }
    keys()
}

/// The name of a session that there is not is an error of the program itself, and others of these are told as such.
fn sso(view: &View, profile: &Profile, name: &str) -> Found {
    let session = match profile.value("sso_session") {
        None => None,
        Some(session) => Some(
            view.profiles
                .sso_session(session)
                .ok_or_else(|| link::invalid(name, format!("has an sso_session that there is not: {session}")))?,
        ),
    };
    // What a session says takes the place of what the profile says, also where it says nothing.
    let settings = session.unwrap_or(profile);
    if let Some(key) = ["sso_region", "sso_start_url"].iter().find(|key| !settings.has(key)) {
        return Err(link::invalid(name, format!("is for IAM Identity Center, but has no {key}")));
    }
    match ["sso_account_id", "sso_role_name"].iter().find(|key| !profile.has(key)) {
        Some(key) => Err(link::invalid(name, format!("is for IAM Identity Center, but has no {key}"))),
        None => Ok(Some(link::other(name, How::Sso, link::place(view, name, "sso_account_id")))),
    }
}

fn assumed(view: &View, name: &str, how: How, base: Step) -> Given {
    link::assumed(name, how, base, link::place(view, name, "role_arn"))
}

fn named_source(view: &View, name: &str, source: &str) -> Result<Step, Failure> {
    let found = match source {
        "Environment" => environment(view)?,
        "EcsContainer" => link::container(view)?,
        // Whatever turns the service off elsewhere.
        "Ec2InstanceMetadata" => link::instance_role(view, false),
        _ => return Err(link::invalid(name, format!("has a credential_source that there is not: {source}"))),
    };
    found.map(|given| given.step).ok_or_else(|| link::invalid(name, format!("finds nothing in {source}")))
}
