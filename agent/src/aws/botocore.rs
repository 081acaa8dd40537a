//! How botocore looks for credentials, and with it boto3 and the AWS CLI. Its files have to be whole and its profile there
//! before anything else is looked at.

use super::ini::Profile;
use super::link::{self, Found, ID, Link, SECRET, Selected, Trail};
use super::processes::text::printable;
use super::step::{Failure, How, Step};
use super::view::{File, View};

const VARIABLES: [&str; 2] = ["AWS_DEFAULT_PROFILE", "AWS_PROFILE"];

/// What it makes of a view, in its order.
pub(super) fn links(view: &View) -> Vec<Link> {
    let selected = Selected::by_variables(view, &VARIABLES);
    let names_itself = view.profile.is_some();
    let mut links: Vec<_> =
        [&view.config, &view.credentials].into_iter().filter_map(refused).map(Link::Fails).collect();
    if selected.by.is_some() && view.profiles.get(selected.name).is_none() {
        links.push(Link::Fails(selected.missing()));
    }
    if !names_itself {
        let found = environment(view);
        // A secret without its key is not noticed.
        links.push(if view.has_even_blank("AWS_ACCESS_KEY_ID") { Link::strict(found) } else { Link::lenient(found) });
    }
    let mut trail = Trail::at(selected.name);
    links.push(Link::strict(assume_role(view, selected.name, &mut trail)));
    links.extend(profile(view, selected.name, !names_itself).into_iter().map(Link::strict));
    links.push(Link::strict(link::container(view)));
    links.push(Link::strict(Ok(link::instance_role(view, link::is_metadata_disabled(view)))));
    if let Some(failure) = no_token(view, selected.name) {
        // Credentials are looked for first, and then it stops all the same.
        let first = links.iter().position(|link| matches!(link, Link::Gives(_))).unwrap_or(links.len());
        links.insert(first, Link::Fails(failure));
    }
    links
}

/// Why no client can be made at all: each looks for a bearer token in the session of IAM Identity Center that its profile
/// names, even if it signs with other credentials.
fn no_token(view: &View, name: &str) -> Option<Failure> {
    let session = view.profiles.get(name)?.value("sso_session")?;
    let Some(settings) = view.profiles.sso_session(session) else { return Some(no_session(name, session)) };
    let key = ["sso_start_url", "sso_region"].iter().find(|key| !settings.has(key))?;
    Some(incomplete_session(name, session, key))
}

fn incomplete_session(name: &str, session: &str, key: &str) -> Failure {
    link::invalid(name, format!("has an sso_session without {key}: {session}"))
}

fn no_session(name: &str, session: &str) -> Failure {
    link::invalid(name, format!("has an sso_session that there is not: {session}"))
}

/// A file that Python's parser refuses. One that may not be read counts as empty.
fn refused(file: &File) -> Option<Failure> {
    let reason = file.refused.as_ref()?.to_string();
    Some(Failure::File { path: link::shown(&file.path), reason })
}

fn environment(view: &View) -> Found {
    link::environment_even_blank(view, &["AWS_ACCESS_KEY_ID"], &["AWS_SECRET_ACCESS_KEY"])
}

fn is_role(profile: &Profile) -> bool {
    profile.has("role_arn") && !profile.has("web_identity_token_file")
}

fn assume_role<'a>(view: &'a View, name: &'a str, trail: &mut Trail<'a>) -> Found {
    let Some(profile) = view.profiles.get(name).filter(|profile| is_role(profile)) else { return Ok(None) };
    let place = link::place(view, name, "role_arn");
    match (profile.value("source_profile"), profile.value("credential_source")) {
        (Some(_), Some(_)) => Err(link::invalid(name, "has both source_profile and credential_source")),
        (None, None) => Err(link::invalid(name, "has a role_arn, but neither source_profile nor credential_source")),
        (None, Some(source)) => {
            let base = named_source(view, name, source)?;
            Ok(Some(link::assumed(name, How::CredentialSource, base, place)))
        }
        (Some(source), None) => {
            let base = source_profile(view, name, source, trail)?;
            Ok(Some(link::assumed(name, How::AssumeRole, base, place)))
        }
    }
}

fn named_source(view: &View, name: &str, source: &str) -> Result<Step, Failure> {
    let found = match source {
        "Environment" if !view.has_even_blank("AWS_ACCESS_KEY_ID") => None,
        "Environment" => environment(view)?,
        "EcsContainer" => link::container(view)?,
        "Ec2InstanceMetadata" => link::instance_role(view, link::is_metadata_disabled(view)),
        _ => return Err(link::invalid(name, format!("has a credential_source that there is not: {source}"))),
    };
    found.map(|given| given.step).ok_or_else(|| link::invalid(name, format!("finds nothing in {source}")))
}

/// Where the credentials of another profile begin. Keys that stand in it win over a role that it names.
fn source_profile<'a>(view: &'a View, parent: &str, name: &'a str, trail: &mut Trail<'a>) -> Result<Step, Failure> {
    let Some(profile) = view.profiles.get(name) else {
        return Err(link::invalid(parent, format!("has a source_profile that there is not: {name}")));
    };
    let has_keys = profile.has(ID) || profile.has(SECRET);
    // A profile may name itself if it has keys.
    if trail.has(name) && (name != parent || !has_keys) {
        return Err(link::invalid(parent, "is part of a circle of source_profile"));
    }
    trail.enter(name)?;
    let found = if has_keys || !is_role(profile) {
        self::profile(view, name, false).into_iter().find_map(Result::transpose).transpose()?
    } else {
        assume_role(view, name, trail)?
    };
    let given = found.ok_or_else(|| link::invalid(name, "has no credentials, and is a source_profile"))?;
    Ok(link::root(given))
}

/// What a profile gives by itself, in the order of its ways.
fn profile(view: &View, name: &str, with_variables: bool) -> Vec<Found> {
    let empty = Profile::default();
    let merged = view.profiles.get(name).unwrap_or(&empty);
    let in_file = |file: &File| -> Found {
        match file.profiles.get(name) {
            Some(profile) if profile.has(ID) => link::static_keys(profile, name, &file.path),
            _ => Ok(None),
        }
    };
    let by_key = |key, how| Ok(merged.has(key).then(|| link::other(name, how, link::place(view, name, key))));
    vec![
        web_identity(view, merged, name, with_variables),
        sso(view, merged, name),
        in_file(&view.credentials),
        by_key("login_session", How::Login),
        by_key("credential_process", How::Process),
        in_file(&view.config),
    ]
}

/// The token and the role may each stand in a variable or in the profile.
fn web_identity(view: &View, profile: &Profile, name: &str, with_variables: bool) -> Found {
    const TOKEN: &str = "web_identity_token_file";
    let by_variable = |variable| view.value(variable).filter(|_| with_variables);
    let token = by_variable("AWS_WEB_IDENTITY_TOKEN_FILE");
    let role = by_variable("AWS_ROLE_ARN").or_else(|| profile.value("role_arn"));
    match (token, profile.has(TOKEN)) {
        (None, false) => Ok(None),
        (None, true) if role.is_none() => Err(link::invalid(name, "has a web_identity_token_file, but no role_arn")),
        (Some(_), _) => link::web_identity_of(token, role),
        (None, true) => {
            let mut given = link::other(name, How::WebIdentity, link::place(view, name, TOKEN));
            if let Some(role) = by_variable("AWS_ROLE_ARN") {
                given.evidence += &format!(", for the role of AWS_ROLE_ARN: {}", printable(role));
            }
            Ok(Some(given))
        }
    }
}

fn sso(view: &View, profile: &Profile, name: &str) -> Found {
    const OF_PROFILE: [&str; 2] = ["sso_role_name", "sso_account_id"];
    const OF_EITHER: [&str; 2] = ["sso_start_url", "sso_region"];
    if OF_PROFILE.iter().all(|key| !profile.has(key)) {
        return Ok(None);
    }
    let session = match profile.value("sso_session") {
        Some(session) => Some(view.profiles.sso_session(session).ok_or_else(|| no_session(name, session))?),
        None => None,
    };
    if let Some((session, settings)) = profile.value("sso_session").zip(session)
        && let Some(key) = OF_EITHER.iter().find(|key| !settings.has(key))
    {
        return Err(incomplete_session(name, session, key));
    }
    let of_session = |key: &str| session.and_then(|session| session.value(key));
    for key in OF_EITHER {
        let differs = of_session(key).zip(profile.value(key)).is_some_and(|(one, other)| one != other);
        if differs {
            return Err(link::invalid(name, format!("has another {key} than its sso_session")));
        }
    }
    let has = |key: &&str| profile.has(key) || of_session(key).is_some();
    if let Some(missing) = OF_PROFILE.iter().chain(&OF_EITHER).find(|key| !has(key)) {
        return Err(link::invalid(name, format!("is for IAM Identity Center, but has no {missing}")));
    }
    Ok(Some(link::other(name, How::Sso, link::place(view, name, "sso_account_id"))))
}
