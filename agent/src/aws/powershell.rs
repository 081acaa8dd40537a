//! How the tools for PowerShell look for credentials: what a command or `Set-AWSCredential` names comes first, and cannot be
//! seen. Up to version 4 they know neither `AWS_PROFILE` nor a web identity in the environment.
//!
//! Sources: `modules/AWSPowerShell/Common/CredentialsArguments.cs` of aws-tools-for-powershell 4; for version 5, whose source was
//! not at hand, "Credential and profile resolution" and "Migrating to version 5" in its user guide, by which it searches as
//! version 4 of the SDK for .NET does, and in the store for the profile of old besides.

use super::dotnet::{self, Asking, DEFAULT};
use super::link::{Link, Selected};
use super::step::Failure;
use super::view::View;

/// The profile that versions of old wrote where nobody named one.
const LEGACY: &str = "AWS PS Default";

/// What version 4 makes of a view, in its order.
pub(super) fn links_v4(view: &View) -> Vec<Link> {
    if view.profile.is_some() {
        return named(view);
    }
    let mut links = vec![Link::lenient(dotnet::environment(view))];
    let default = Selected { name: DEFAULT, by: None };
    // What is wrong with a profile ends the command, but for keys that make no profile.
    let link = if dotnet::is_of_no_kind(view, DEFAULT) { Link::lenient } else { Link::strict };
    links.extend(dotnet::profile(view, &default, Asking::Terminal).into_iter().map(link));
    links.extend(legacy(view));
    links.push(dotnet::role(view));
    links
}

/// What version 5 makes of a view, in its order.
pub(super) fn links_v5(view: &View) -> Vec<Link> {
    if view.profile.is_some() {
        return named(view);
    }
    let mut links = dotnet::first_v4(view, &dotnet::selected(view));
    links.extend(legacy(view));
    links.push(dotnet::role(view));
    links
}

/// Where somebody names a profile, such as by `-ProfileName`, it is that one or an error.
fn named(view: &View) -> Vec<Link> {
    dotnet::profile(view, &dotnet::selected(view), Asking::Terminal).into_iter().map(Link::strict).collect()
}

fn legacy(view: &View) -> impl Iterator<Item = Link> {
    let selected = Selected { name: LEGACY, by: None };
    let found = dotnet::profile(view, &selected, Asking::Terminal).into_iter();
    // What is wrong with the files was told of the profile before.
    found.filter(|found| !matches!(found, Err(Failure::File { .. }))).map(Link::lenient)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aws::chain::{Chain, Failure, How, Outcome, Step, pick};
    use crate::aws::dotnet::tests::{KEYS, STORE, view};

    #[test]
    fn what_is_wrong_with_the_default_profile_ends_a_command_of_version_4_and_not_of_version_5() {
        for (lines, is_wrong) in [
            ("[default]\nrole_arn=r\nsource_profile=x\n", true),
            ("[default]\nrole_arn=r\n", false),
            ("[default]\nregion=x\n", false),
            ("[default\n", true),
        ] {
            let view = view(&[], &[("/h/.aws/credentials", lines)]);
            let failed = matches!(pick(Chain::PowerShellV4, &view).outcome, Outcome::Failed(_));
            assert_eq!(failed, is_wrong, "{lines}");
            assert_eq!(pick(Chain::PowerShellV5, &view).outcome.to_string(), "the role of the instance", "{lines}");
        }
    }

    #[test]
    fn version_4_knows_no_variable_for_a_profile_and_version_5_stops_at_one_that_is_missing() {
        let credentials = format!("[a]\n{KEYS}");
        let files = [("/h/.aws/credentials", credentials.as_str())];
        let named = view(&[("AWS_PROFILE", "a")], &files);
        assert_eq!(pick(Chain::PowerShellV4, &named).given().unwrap().step, Step::InstanceRole);
        let step = Step::Profile { name: "a".to_owned(), how: How::Static };
        assert_eq!(pick(Chain::PowerShellV5, &named).given().unwrap().step, step);
        let missing = view(&[("AWS_PROFILE", "b")], &files);
        assert!(matches!(pick(Chain::PowerShellV5, &missing).outcome, Outcome::Failed(Failure::ProfileMissing { .. })));
        let mut asked_for = view(&[("AWS_ACCESS_KEY_ID", "a"), ("AWS_SECRET_ACCESS_KEY", "b")], &files);
        for (name, is_there) in [("a", true), ("b", false), ("default", false)] {
            asked_for.profile = Some(name.to_owned());
            for chain in [Chain::PowerShellV4, Chain::PowerShellV5, Chain::DotNetV3, Chain::DotNetV4] {
                assert_eq!(pick(chain, &asked_for).given().is_some(), is_there, "{chain} {name}");
            }
        }
    }

    #[test]
    fn the_profile_of_old_is_found_before_the_role() {
        let store = r#"{"1": {"DisplayName": "AWS PS Default", "AWSAccessKey": "01", "AWSSecretKey": "01"}}"#;
        let view = view(&[("LOCALAPPDATA", "/l")], &[(STORE, store)]);
        let step = Step::SdkStore { name: LEGACY.to_owned(), how: How::Static };
        for chain in [Chain::PowerShellV4, Chain::PowerShellV5] {
            let pick = pick(chain, &view);
            assert_eq!(pick.given().unwrap().step, step, "{chain}");
            assert!(pick.shadows_instance_role(), "{chain}");
        }
        assert_eq!(pick(Chain::DotNetV4, &view).given().unwrap().step, Step::InstanceRole);
    }
}
