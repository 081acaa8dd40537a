//! How the two SDKs for Java look for credentials. Both pass over most of what is wrong, so that a broken profile ends at the
//! role of the instance without a word.

use std::path::Path;

use super::ini::{Profile, Profiles};
use super::link::{self, Found, Link, Selected, Trail};
use super::step::{Failure, Given, How, Step};
use super::view::{File, View};

const SSO: [&str; 5] = ["sso_role_name", "sso_account_id", "sso_region", "sso_start_url", "sso_session"];
const DEFAULT: &str = "default";
/// Turns the metadata service off for version 2.
const DISABLE: &str = "aws.disableEc2Metadata";

/// What version 1 makes of a view, in its order.
pub(super) fn links_v1(view: &View) -> Vec<Link> {
    let ids = ["AWS_ACCESS_KEY_ID", "AWS_ACCESS_KEY"];
    let secrets = ["AWS_SECRET_KEY", "AWS_SECRET_ACCESS_KEY"];
    let mut links = vec![
        Link::lenient(link::environment(view, &ids, &secrets)),
        Link::lenient(link::system_properties(view, &["aws.secretKey"])),
        Link::lenient(link::web_identity(view)),
        Link::lenient(profile_v1(view)),
    ];
    // A container that is named takes the place of the instance, whether it answers or not.
    links.push(match link::container(view) {
        Ok(None) => Link::strict(Ok(instance_role(view, "com.amazonaws.sdk.disableEc2Metadata"))),
        found => Link::lenient(found),
    });
    links
}

/// What version 2 makes of a view, in its order. Its providers are made before the first of them is asked, and that of the
/// instance parses the files then: where that fails, nothing is left, not even keys in the environment (2.33).
pub(super) fn links_v2(view: &View) -> Vec<Link> {
    vec![
        Link::strict(malformed(view).map_or(Ok(None), Err)),
        Link::lenient(link::system_properties(view, &["aws.secretAccessKey"])),
        Link::lenient(link::environment(view, &["AWS_ACCESS_KEY_ID"], &["AWS_SECRET_ACCESS_KEY"])),
        Link::lenient(web_identity_v2(view)),
        Link::lenient(profile_v2(view)),
        Link::lenient(link::container(view)),
        Link::strict(Ok(instance_role(view, DISABLE))),
    ]
}

/// Each version has a property of its own, which wins over the variable.
fn instance_role(view: &View, property: &str) -> Option<Given> {
    let by_property = view.property(property).map(|value| value.eq_ignore_ascii_case("true"));
    link::instance_role(view, by_property.unwrap_or_else(|| link::is_metadata_disabled(view)))
}

/// Properties win over variables.
fn web_identity_v2(view: &View) -> Found {
    let token = view.property("aws.webIdentityTokenFile").or_else(|| view.value("AWS_WEB_IDENTITY_TOKEN_FILE"));
    let role = view.property("aws.roleArn").or_else(|| view.value("AWS_ROLE_ARN"));
    link::web_identity_of(token, role)
}

/// The profile, by a property or a variable, of which each version has its own order.
fn selected(view: &View, property_first: bool) -> Selected<'_> {
    if view.profile.is_some() {
        return Selected::by_variables(view, &[]);
    }
    let by_property = view.property("aws.profile").map(|name| Selected { name, by: Some("aws.profile") });
    let by_variable = view.value("AWS_PROFILE").map(|name| Selected { name, by: Some("AWS_PROFILE") });
    let (first, second) = if property_first { (by_property, by_variable) } else { (by_variable, by_property) };
    first.or(second).unwrap_or(Selected { name: DEFAULT, by: None })
}

/// One file alone, and a role's source has to hold keys.
fn profile_v1(view: &View) -> Found {
    let file = &view.credentials;
    if let Some(failure) = refused(file) {
        return Err(failure);
    }
    let selected = selected(view, false);
    let name = selected.name;
    let Some(profile) = file.profiles.get(name) else { return missing(&selected) };
    let of = |key, how| -> Found { Ok(profile.has(key).then(|| link::other(name, how, &file.path))) };
    if !profile.has("role_arn") {
        return match of("credential_process", How::Process)? {
            None => keys(profile, name, &file.path),
            found => Ok(found),
        };
    }
    // It knows neither credential_source nor a token for a profile without a source (1.11.793).
    let source =
        profile.value("source_profile").ok_or_else(|| link::invalid(name, "has a role_arn, but no source_profile"))?;
    let keys = match file.profiles.get(source) {
        Some(profile) => keys(profile, source, &file.path)?,
        None => return Err(link::invalid(name, format!("has a source_profile that there is not: {source}"))),
    };
    let base = keys.ok_or_else(|| link::invalid(source, "has no keys, and is a source_profile"))?;
    Ok(Some(link::assumed(name, How::AssumeRole, base.step, &file.path)))
}

/// One line that is none spoils both files. A file that may not be read is none.
fn malformed(view: &View) -> Option<Failure> {
    [&view.config, &view.credentials].into_iter().filter(|file| file.refused.is_some()).find_map(refused)
}

fn profile_v2(view: &View) -> Found {
    if let Some(failure) = [&view.config, &view.credentials].into_iter().find_map(refused) {
        return Err(failure);
    }
    let selected = selected(view, true);
    match view.profiles.get(selected.name) {
        Some(_) => resolved(view, &view.profiles, selected.name, &mut Trail::default()),
        None => missing(&selected),
    }
}

fn missing(selected: &Selected<'_>) -> Found {
    if selected.by.is_some() { Err(selected.missing()) } else { Ok(None) }
}

fn refused(file: &File) -> Option<Failure> {
    let path = link::shown(&file.path);
    let by_system = file.fault.map(|fault| fault.to_string());
    let reason = by_system.or_else(|| Some(file.refused.as_ref()?.to_string()))?;
    Some(Failure::File { path, reason })
}

fn resolved<'a>(view: &'a View, profiles: &'a Profiles, name: &'a str, trail: &mut Trail<'a>) -> Found {
    let Some(profile) = profiles.get(name) else {
        let parent = trail.last();
        return Err(link::invalid(parent, format!("has a source_profile that there is not: {name}")));
    };
    let by_key = |key, how| Ok(Some(link::other(name, how, link::place(view, name, key))));
    if profile.has("role_arn") && profile.has("web_identity_token_file") {
        return by_key("web_identity_token_file", How::WebIdentity);
    }
    if SSO.iter().any(|key| profile.has(key)) {
        return match ["sso_account_id", "sso_role_name"].iter().find(|key| !profile.has(key)) {
            Some(key) => Err(link::invalid(name, format!("is for IAM Identity Center, but has no {key}"))),
            None => by_key("sso_account_id", How::Sso),
        };
    }
    if profile.has("role_arn") {
        let place = link::place(view, name, "role_arn");
        match (profile.value("source_profile"), profile.value("credential_source")) {
            (Some(_), Some(_)) => return Err(link::invalid(name, "has both source_profile and credential_source")),
            (Some(_), None) if trail.has(name) => {
                return Err(link::invalid(name, "is part of a circle of source_profile"));
            }
            (Some(source), None) => {
                trail.enter(name)?;
                let base = resolved(view, profiles, source, trail)?
                    .ok_or_else(|| link::invalid(source, "has no credentials, and is a source_profile"))?;
                return Ok(Some(link::assumed(name, How::AssumeRole, link::root(base), place)));
            }
            (None, Some(source)) => {
                let base = named_source(view, name, source)?;
                return Ok(Some(link::assumed(name, How::CredentialSource, base, place)));
            }
            (None, None) => {}
        }
    }
    if profile.has("credential_process") {
        return by_key("credential_process", How::Process);
    }
    keys(profile, name, link::place(view, name, link::ID))
}

/// Keys that are empty are none.
fn keys(profile: &Profile, name: &str, place: &Path) -> Found {
    match [link::ID, link::SECRET].into_iter().find(|key| profile.is_empty(key)) {
        Some(key) => Err(link::invalid(name, format!("has an empty {key}"))),
        None => link::static_keys(profile, name, place),
    }
}

fn named_source(view: &View, name: &str, source: &str) -> Result<Step, Failure> {
    let found = match source.to_ascii_lowercase().as_str() {
        "environment" => match link::system_properties(view, &["aws.secretAccessKey"])? {
            None => link::environment(view, &["AWS_ACCESS_KEY_ID"], &["AWS_SECRET_ACCESS_KEY"])?,
            found => found,
        },
        "ecscontainer" => link::container(view)?,
        "ec2instancemetadata" => instance_role(view, DISABLE),
        _ => return Err(link::invalid(name, format!("has a credential_source that there is not: {source}"))),
    };
    found.map(|given| given.step).ok_or_else(|| link::invalid(name, format!("finds nothing in {source}")))
}
