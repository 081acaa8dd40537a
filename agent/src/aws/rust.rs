//! How the SDK for Rust looks for credentials. Files come before the web identity, and what is wrong with them ends the
//! search.

use super::ini::Profile;
use super::link::{self, Found, Link, Selected, Trail};
use super::step::{Failure, How, Step};
use super::view::{File, View};

const IDS: [&str; 1] = ["AWS_ACCESS_KEY_ID"];
const SECRETS: [&str; 2] = ["AWS_SECRET_ACCESS_KEY", "SECRET_ACCESS_KEY"];
const SSO: [&str; 5] = ["sso_account_id", "sso_region", "sso_role_name", "sso_start_url", "sso_session"];

/// What it makes of a view, in its order.
pub(super) fn links(view: &View) -> Vec<Link> {
    vec![
        Link::lenient(environment(view)),
        Link::strict(profile(view)),
        Link::strict(link::web_identity(view)),
        Link::strict(link::container(view)),
        Link::strict(Ok(link::instance_role(view, link::is_metadata_disabled(view)))),
    ]
}

fn environment(view: &View) -> Found {
    link::environment(view, &IDS, &SECRETS)
}

fn profile(view: &View) -> Found {
    if let Some(failure) = [&view.config, &view.credentials].into_iter().find_map(refused) {
        return Err(failure);
    }
    let selected = Selected::by_variables(view, &["AWS_PROFILE"]);
    match view.profiles.get(selected.name) {
        None if view.profiles.iter().next().is_none() || selected.name == "default" => Ok(None),
        None => Err(selected.missing()),
        Some(_) => resolved(view, selected.name, &mut Trail::default()),
    }
}

/// A file of another grammar. One that cannot be read, or is no text, counts as empty.
fn refused(file: &File) -> Option<Failure> {
    let reason = file.refused.as_ref()?.to_string();
    Some(Failure::File { path: link::shown(&file.path), reason })
}

/// What a profile gives, or the one that it names as its source.
fn resolved<'a>(view: &'a View, name: &'a str, trail: &mut Trail<'a>) -> Found {
    let Some(profile) = view.profiles.get(name) else {
        let parent = trail.last();
        return Err(link::invalid(parent, format!("has a source_profile that there is not: {name}")));
    };
    if trail.has(name) {
        return Err(link::invalid(name, "is part of a circle of source_profile"));
    }
    let is_source = !trail.is_empty();
    trail.enter(name)?;
    if is_source && let Ok(Some(keys)) = static_keys(view, profile, name) {
        return Ok(Some(keys));
    }
    if !profile.has("role_arn") || profile.has("web_identity_token_file") {
        return match own(view, profile, name)? {
            None if is_source => Err(link::invalid(name, "has no credentials, and is a source_profile")),
            found => Ok(found),
        };
    }
    let (how, base) = match (profile.value("source_profile"), profile.value("credential_source")) {
        (Some(_), Some(_)) => return Err(link::invalid(name, "has both source_profile and credential_source")),
        (None, None) => {
            return Err(link::invalid(name, "has a role_arn, but neither source_profile nor credential_source"));
        }
        (Some(source), None) if source != name => (How::AssumeRole, resolved(view, source, trail)?),
        (Some(_), None) => (How::AssumeRole, own(view, profile, name)?),
        (None, Some(_)) => (How::CredentialSource, own(view, profile, name)?),
    };
    // A role whose own profile has no credentials is no role at all.
    Ok(base.map(|base| link::assumed(name, how, link::root(base), link::place(view, name, "role_arn"))))
}

/// What a profile gives without a role that it assumes.
fn own(view: &View, profile: &Profile, name: &str) -> Found {
    let by_key = |key, how| Ok(Some(link::other(name, how, link::place(view, name, key))));
    if let Some(source) = profile.value("credential_source") {
        let base = named_source(view, name, source)?;
        return Ok(Some(link::assumed(
            name,
            How::CredentialSource,
            base,
            link::place(view, name, "credential_source"),
        )));
    }
    if profile.has("web_identity_token_file") {
        return match profile.has("role_arn") {
            true => by_key("web_identity_token_file", How::WebIdentity),
            false => Err(link::invalid(name, "has a web_identity_token_file, but no role_arn")),
        };
    }
    if SSO.iter().any(|key| profile.has(key)) {
        return sso(view, profile, name);
    }
    if profile.has("login_session") {
        return by_key("login_session", How::Login);
    }
    if profile.has("credential_process") {
        return by_key("credential_process", How::Process);
    }
    match static_keys(view, profile, name)? {
        None if profile.has("aws_session_token") => Err(link::invalid(name, "has a session token, but no keys")),
        found => Ok(found),
    }
}

fn static_keys(view: &View, profile: &Profile, name: &str) -> Found {
    link::static_keys(profile, name, link::place(view, name, link::ID))
}

fn named_source(view: &View, name: &str, source: &str) -> Result<Step, Failure> {
    let found = match source.to_ascii_lowercase().as_str() {
        "environment" => environment(view)?,
        "ecscontainer" => link::container(view)?,
        "ec2instancemetadata" => link::instance_role(view, link::is_metadata_disabled(view)),
        _ => return Err(link::invalid(name, format!("has a credential_source that there is not: {source}"))),
    };
    found.map(|given| given.step).ok_or_else(|| link::invalid(name, format!("finds nothing in {source}")))
}

fn sso(view: &View, profile: &Profile, name: &str) -> Found {
    let settings = match profile.value("sso_session") {
        Some(session) => {
            if let Some(key) = ["sso_start_url", "sso_region"].iter().find(|key| profile.has(key)) {
                return Err(link::invalid(name, format!("has both an sso_session and an {key}")));
            }
            view.profiles
                .sso_session(session)
                .ok_or_else(|| link::invalid(name, format!("has an sso_session that there is not: {session}")))?
        }
        None => profile,
    };
    let missing = ["sso_account_id", "sso_role_name"].iter().find(|key| !profile.has(key));
    if let Some(key) = missing.or_else(|| ["sso_region", "sso_start_url"].iter().find(|key| !settings.has(key))) {
        return Err(link::invalid(name, format!("is for IAM Identity Center, but has no {key}")));
    }
    Ok(Some(link::other(name, How::Sso, link::place(view, name, "sso_account_id"))))
}
