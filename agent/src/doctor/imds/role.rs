//! What is wrong with the role of the instance.

use super::probe::Facts;
use crate::credentials::Provider;
use crate::credentials::imds::inspect::{Profile, Role};
use crate::credentials::lease::{Lease, Unavailable};
use crate::doctor::report::{Area, Check};
use crate::time::rfc3339;

const NAME: &str = "imds-role";
const EFFECT: &str = "SDKs find no credentials of an instance role.";
/// `Code` of a role that EC2 may not assume.
const NO_TRUST: &str = "AssumeRoleUnauthorizedAccess";
/// `Code` of an instance profile that was deleted while it was attached.
const NO_PROFILE: &str = "InstanceProfileNotFound";
/// `Code` of an error on the side of AWS.
const FAILED: &str = "Failed";

/// Judges the role; `instance` is its instance's identifier, or what stands for it in a command.
///
/// Source of the codes: "Troubleshoot IAM and Amazon EC2" in the IAM user guide.
pub(super) fn check(facts: &Facts, instance: &str) -> Check {
    let profile = facts.profile.as_ref().and_then(|profile| profile.as_ref().ok()?.as_ref());
    let check = match &facts.role {
        None => Check::skipped(Area::Imds, NAME, "there was no time left to ask for the role"),
        Some(Ok(role)) => match &role.lease {
            Ok(lease) => with_lease(role, lease, profile, instance),
            Err(reason) => without_lease(role, reason, profile, instance),
        },
        Some(Err(Unavailable::NoRole)) => no_role(profile, instance),
        Some(Err(reason)) => unreadable(reason, instance),
    };
    check.with_evidence(evidence(facts, profile))
}

fn evidence(facts: &Facts, profile: Option<&Profile>) -> Vec<String> {
    let role = facts.role.as_ref().and_then(|role| role.as_ref().ok());
    let several = role
        .filter(|role| role.listed > 1)
        .map(|role| format!("{} roles are listed, where the service names one; SDKs take the first", role.listed));
    let lease = role.and_then(|role| role.lease.as_ref().ok());
    let expiration = lease.and_then(|lease| lease.expiration);
    let expiration = expiration.map(|time| format!("its credentials expire at {}", rfc3339(time.nanos())));
    let arn = profile.and_then(|profile| profile.arn.as_ref()).map(|arn| format!("the instance profile is {arn}"));
    let code = profile.and_then(|profile| profile.code.as_ref()).map(|code| format!("Code of iam/info is {code}"));
    [several, expiration, arn, code].into_iter().flatten().collect()
}

fn with_lease(role: &Role, lease: &Lease, profile: Option<&Profile>, instance: &str) -> Check {
    let code = profile.and_then(|profile| profile.code.as_deref());
    match code.filter(|code| !code.eq_ignore_ascii_case("success")) {
        Some(code) => {
            let summary = format!("role {} has credentials, but its profile yields no new ones: {code}", role.name);
            let effect = "The credentials that are there still work, and nothing follows them when they expire.";
            Check::warning(Area::Imds, NAME, summary, effect, by_code(code, &role.name, profile, instance))
        }
        None => Check::ok(Area::Imds, NAME, format!("role {} has credentials", lease.identity)),
    }
}

fn without_lease(role: &Role, reason: &Unavailable, profile: Option<&Profile>, instance: &str) -> Check {
    let name = &role.name;
    let effect = "SDKs find the role and get no credentials for it.";
    match reason {
        Unavailable::RoleGone => {
            let held = profile.and_then(Profile::name).unwrap_or("<profile>");
            let summary = format!("role {name} is listed and has no credentials: instance profile {held} is stale");
            Check::problem(Area::Imds, NAME, summary, effect, renew(held, name))
        }
        Unavailable::Rejected { code } => {
            let summary = match code.as_str() {
                NO_TRUST => format!("EC2 may not assume role {name}: {code}"),
                NO_PROFILE => format!("the instance profile of role {name} is gone: {code}"),
                _ => format!("role {name} gets no credentials: {code}"),
            };
            Check::problem(Area::Imds, NAME, summary, effect, by_code(code, name, profile, instance))
        }
        reason => unreadable(reason, instance),
    }
}

fn no_role(profile: Option<&Profile>, instance: &str) -> Check {
    match profile.and_then(Profile::name) {
        Some(held) => {
            let summary = format!("instance profile {held} is attached and holds no role");
            let remedy =
                format!("aws iam add-role-to-instance-profile --instance-profile-name {held} --role-name <role>");
            Check::problem(Area::Imds, NAME, summary, EFFECT, remedy)
        }
        None => {
            let remedy = format!(
                "aws ec2 associate-iam-instance-profile --instance-id {instance} --iam-instance-profile Name=<profile>"
            );
            Check::problem(Area::Imds, NAME, "no role is attached to this instance", EFFECT, remedy)
        }
    }
}

fn unreadable(reason: &Unavailable, instance: &str) -> Check {
    if matches!(reason, Unavailable::Throttled(_)) {
        return Check::skipped(Area::Imds, NAME, "the role was not handed out: see imds-throttling");
    }
    let remedy = reason.remedy(Provider::Imds).replace("<id>", instance);
    Check::problem(Area::Imds, NAME, format!("the role cannot be read: {reason}"), EFFECT, remedy)
}

fn by_code(code: &str, role: &str, profile: Option<&Profile>, instance: &str) -> String {
    match code {
        NO_TRUST => {
            let is_china =
                profile.and_then(|profile| profile.arn.as_deref()).is_some_and(|arn| arn.starts_with("arn:aws-cn:"));
            let service = if is_china { "ec2.amazonaws.com.cn" } else { "ec2.amazonaws.com" };
            format!(
                "aws iam update-assume-role-policy --role-name {role} --policy-document \
                 '{{\"Version\":\"2012-10-17\",\"Statement\":[{{\"Effect\":\"Allow\",\"Principal\":{{\"Service\":\
                 \"{service}\"}},\"Action\":\"sts:AssumeRole\"}}]}}'"
            )
        }
        NO_PROFILE => format!(
            "aws ec2 replace-iam-instance-profile-association --iam-instance-profile Name=<profile> --association-id \
             <association>, which aws ec2 describe-iam-instance-profile-associations --filters \
             Name=instance-id,Values={instance} tells"
        ),
        FAILED => "wait some minutes and try again: AWS reports an error of its own".to_owned(),
        _ => renew(profile.and_then(Profile::name).unwrap_or("<profile>"), role),
    }
}

/// A role that was deleted and made anew under its name is another one to its instance profile.
fn renew(profile: &str, role: &str) -> String {
    format!(
        "aws iam remove-role-from-instance-profile --instance-profile-name {profile} --role-name {role} && aws iam \
         add-role-to-instance-profile --instance-profile-name {profile} --role-name {role}, once aws iam get-role \
         --role-name {role} finds it"
    )
}
