//! How version 2 of the SDK for Go looks for credentials. It reads the whole profile before it looks at anything else; a
//! profile without credentials of its own takes those of the container or of the instance.

use super::ini::Profile;
use super::link::{self, Found, Link, Selected, Trail};
use super::step::{Failure, Given, How, Step};
use super::view::View;

const IDS: [&str; 2] = ["AWS_ACCESS_KEY_ID", "AWS_ACCESS_KEY"];
const SECRETS: [&str; 2] = ["AWS_SECRET_ACCESS_KEY", "AWS_SECRET_KEY"];
const SSO: [&str; 4] = ["sso_account_id", "sso_role_name", "sso_start_url", "sso_session"];
/// Ways of which a profile may have one.
const EXCLUSIVE: [&str; 4] = ["source_profile", "credential_source", "credential_process", "web_identity_token_file"];

/// What it makes of a view, in its order.
pub(super) fn links(view: &View) -> Vec<Link> {
    let selected = Selected::by_variables(view, &["AWS_PROFILE", "AWS_DEFAULT_PROFILE"]);
    let profile = match view.profiles.get(selected.name) {
        None if selected.by.is_some() => return vec![Link::Fails(selected.missing())],
        None => Ok(None),
        Some(_) => loaded(view, selected.name, &mut Trail::default()),
    };
    let profile = match profile {
        Ok(profile) => profile,
        Err(failure) => return vec![Link::Fails(failure)],
    };
    let mut links = Vec::new();
    if view.profile.is_none() {
        links.push(Link::lenient(environment(view)));
        links.push(Link::strict(link::web_identity(view)));
    }
    let outside = [Link::strict(link::container(view)), Link::strict(Ok(instance_role(view)))];
    match profile {
        Some(Loaded::Given(given)) => links.push(Link::Gives(given)),
        Some(Loaded::RoleFromOutside) => links.extend(outside.iter().filter_map(|link| match link {
            Link::Gives(given) => {
                let place = link::place(view, selected.name, "role_arn");
                let base = given.step.clone();
                Some(Link::Gives(link::assumed(selected.name, How::CredentialSource, base, place)))
            }
            Link::Passes | Link::Skips(_) | Link::Fails(_) => None,
        })),
        None => {}
    }
    links.extend(outside);
    links
}

/// What a profile amounts to.
enum Loaded {
    Given(Given),
    /// It names a role, and nothing to assume it with: whatever comes next is used.
    RoleFromOutside,
}

fn environment(view: &View) -> Found {
    link::environment_even_blank(view, &IDS, &SECRETS)
}

fn instance_role(view: &View) -> Option<Given> {
    link::instance_role(view, link::is_metadata_disabled(view))
}

fn loaded<'a>(view: &'a View, name: &'a str, trail: &mut Trail<'a>) -> Result<Option<Loaded>, Failure> {
    let Some(profile) = view.profiles.get(name) else {
        let parent = trail.last();
        return Err(link::invalid(parent, format!("has a source_profile that there is not: {name}")));
    };
    let is_again = trail.has(name);
    let keys = link::static_keys(profile, name, link::place(view, name, link::ID)).ok().flatten();
    // The role of a profile that names itself was taken at its first turn.
    let has_role = profile.has("role_arn") && !is_again;
    let needs_role = EXCLUSIVE.iter().find(|key| **key != "credential_process" && profile.has(key));
    if let (false, false, Some(key)) = (is_again, profile.has("role_arn"), needs_role) {
        return Err(link::invalid(name, format!("has a {key}, but no role_arn")));
    }
    if !trail.is_empty()
        && let Some(keys) = keys
    {
        return Ok(Some(Loaded::Given(keys)));
    }
    if EXCLUSIVE.iter().filter(|key| profile.has(key) && !(is_again && **key == "source_profile")).count() > 1 {
        return Err(link::invalid(
            name,
            "has more than one of source_profile, credential_source, credential_process and \
             web_identity_token_file",
        ));
    }
    trail.enter(name)?;
    let source = profile.value("source_profile").filter(|_| !is_again);
    let (how, base) = match source {
        Some(source) => match loaded(view, source, trail)? {
            Some(Loaded::Given(base)) => (How::AssumeRole, Some(base)),
            // Such a role counts as no credentials.
            Some(Loaded::RoleFromOutside) | None => {
                return Err(link::invalid(source, "has no credentials, and is a source_profile"));
            }
        },
        None => (How::CredentialSource, own(view, profile, name, keys)?),
    };
    let is_whole = matches!(&base, Some(Given { step: Step::Profile { how: How::WebIdentity, .. }, .. }));
    Ok(match base {
        None if has_role => Some(Loaded::RoleFromOutside),
        None => None,
        Some(base) if has_role && !is_whole => {
            let place = link::place(view, name, "role_arn");
            Some(Loaded::Given(link::assumed(name, how, link::root(base), place)))
        }
        Some(base) => Some(Loaded::Given(base)),
    })
}

/// What a profile gives without its role.
fn own(view: &View, profile: &Profile, name: &str, keys: Option<Given>) -> Found {
    let by_key = |key, how| Ok(Some(link::other(name, how, link::place(view, name, key))));
    if keys.is_some() {
        return Ok(keys);
    }
    if let Some(source) = profile.value("credential_source") {
        let found = match source {
            "Environment" => environment(view)?,
            "EcsContainer" => link::container(view)?,
            "Ec2InstanceMetadata" => instance_role(view),
            _ => return Err(link::invalid(name, format!("has a credential_source that there is not: {source}"))),
        };
        return found.map(Some).ok_or_else(|| link::invalid(name, format!("finds nothing in {source}")));
    }
    if profile.has("web_identity_token_file") {
        return by_key("web_identity_token_file", How::WebIdentity);
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
    Ok(None)
}

fn sso(view: &View, profile: &Profile, name: &str) -> Found {
    let settings = match profile.value("sso_session") {
        Some(session) => view
            .profiles
            .sso_session(session)
            .ok_or_else(|| link::invalid(name, format!("has an sso_session that there is not: {session}")))?,
        None => profile,
    };
    let missing = ["sso_account_id", "sso_role_name"].iter().find(|key| !profile.has(key));
    if let Some(key) = missing.or_else(|| ["sso_region", "sso_start_url"].iter().find(|key| !settings.has(key))) {
        return Err(link::invalid(name, format!("is for IAM Identity Center, but has no {key}")));
    }
    Ok(Some(link::other(name, How::Sso, link::place(view, name, "sso_account_id"))))
}
