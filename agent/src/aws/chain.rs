//! Which credentials an SDK picks in a process, why, and what that keeps it from using.
//!
//! Each SDK looks in an order of its own and takes the first that it finds. Sources: `credentials.py` of botocore 1.44,
//! `default_provider::credentials` and `profile::credentials` of aws-config 1.8, `resolve_credentials.go` of
//! aws-sdk-go-v2, `credential-provider-node` of aws-sdk-js-v3, `DefaultCredentialsProvider` and `ProfileCredentialsUtils`
//! of aws-sdk-java-v2, `DefaultAWSCredentialsProviderChain` of aws-sdk-java, `FallbackCredentialsFactory` of aws-sdk-net 3.7 and
//! `DefaultAWSCredentialsIdentityResolver` of 4.0, `CredentialsArguments.cs` of aws-tools-for-powershell 4.

use std::fmt;

use super::link::Link;
use super::view::View;
use super::{botocore, dotnet, go, java, js, powershell, rust};

pub use super::step::{Chain, Failure, Given, How, Life, Step};

/// What came of a search.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// These are used.
    Picked(Given),
    /// It gave up, although there may be others further on.
    Failed(Failure),
    /// There are none.
    Nothing,
}

/// What an SDK picks in a process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pick {
    /// The SDK.
    pub chain: Chain,
    /// What it picks.
    pub outcome: Outcome,
    /// What it would use if that were not there, in its order.
    pub shadows: Vec<Given>,
    /// What it came upon and passed over in silence.
    pub passed_over: Vec<Failure>,
}

/// Says what an SDK picks in a process.
pub fn pick(chain: Chain, view: &View) -> Pick {
    let mut outcome = Outcome::Nothing;
    let mut passed_over = Vec::new();
    let mut shadows: Vec<Given> = Vec::new();
    for link in links(chain, view) {
        let is_decided = outcome != Outcome::Nothing;
        match link {
            Link::Gives(given) if is_decided => shadows.push(given),
            Link::Gives(given) => outcome = Outcome::Picked(given),
            Link::Fails(failure) if !is_decided => outcome = Outcome::Failed(failure),
            Link::Skips(failure) if !is_decided => passed_over.push(failure),
            Link::Passes | Link::Fails(_) | Link::Skips(_) => {}
        }
    }
    if let Outcome::Picked(given) = &outcome {
        // What a role is assumed with is in use, and two files may give the same profile.
        shadows.retain(|shadow| shadow.step != given.step && Some(&shadow.step) != given.base.as_ref());
    }
    Pick { chain, outcome, shadows, passed_over }
}

/// What a chain makes of a view, link by link, in its order.
fn links(chain: Chain, view: &View) -> Vec<Link> {
    let view = view.as_read_by(chain);
    match chain {
        Chain::Botocore => botocore::links(&view),
        Chain::JavaV1 => java::links_v1(&view),
        Chain::JavaV2 => java::links_v2(&view),
        Chain::Rust => rust::links(&view),
        Chain::Go => go::links(&view),
        Chain::JsV3 => js::links(&view),
        Chain::DotNetV3 => dotnet::links_v3(&view),
        Chain::DotNetV4 => dotnet::links_v4(&view),
        Chain::PowerShellV4 => powershell::links_v4(&view),
        Chain::PowerShellV5 => powershell::links_v5(&view),
    }
}

impl Pick {
    /// The credentials that are used.
    pub const fn given(&self) -> Option<&Given> {
        match &self.outcome {
            Outcome::Picked(given) => Some(given),
            Outcome::Failed(_) | Outcome::Nothing => None,
        }
    }

    /// Whether the role of the instance would be used if what is picked, or what fails, were not there.
    pub fn shadows_instance_role(&self) -> bool {
        self.shadows.iter().any(|shadow| shadow.step == Step::InstanceRole)
    }

    /// Whether the role of the container would be used if what is picked, or what fails, were not there.
    pub fn shadows_container(&self) -> bool {
        self.shadows.iter().any(|shadow| shadow.step == Step::Container)
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Picked(given) => given.step.fmt(f),
            Self::Failed(failure) => failure.fmt(f),
            Self::Nothing => f.write_str("no credentials"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::ErrorKind;
    use std::path::Path;

    use proptest::prelude::*;
    use proptest::sample::{select, subsequence};

    use super::*;
    use crate::aws::known::Known;
    use crate::aws::processes::properties::Properties;
    use crate::aws::view::Presence;

    const SECRET: &str = "wJalrXUtnFEMI";
    const KEYS: [(&str, &str); 2] = [("AWS_ACCESS_KEY_ID", SECRET), ("AWS_SECRET_ACCESS_KEY", SECRET)];
    const STATIC: &str = "aws_access_key_id=wJalrXUtnFEMI\naws_secret_access_key=wJalrXUtnFEMI\n";

    /// A process on an instance that has a role.
    fn view(variables: &[(&str, &str)], arguments: &[&str], config: &str, credentials: &str) -> View {
        let variable = |name: &str| {
            let home = (name == "HOME").then_some("/h");
            let set = variables.iter().find(|(known, _)| *known == name).map(|(_, value)| *value);
            set.or(home).map(str::to_owned)
        };
        let line = [&["java"], arguments].concat();
        let mut view = View::new(
            variable,
            Properties::of_command_line(&line),
            None,
            |path| match path {
                _ if path == Path::new("/h/.aws/config") && !config.is_empty() => Ok(config.as_bytes().to_owned()),
                _ if path == Path::new("/h/.aws/credentials") && !credentials.is_empty() => {
                    Ok(credentials.as_bytes().to_owned())
                }
                _ => Err(ErrorKind::NotFound.into()),
            },
            &Chain::ALL,
            &Known::default(),
        );
        view.instance_role = Presence::Yes;
        view
    }

    fn profile(name: &str, how: How) -> Option<Step> {
        Some(Step::Profile { name: name.to_owned(), how })
    }

    /// What each picks, in the order of `Chain::ALL`; `None` for nothing and for a failure.
    fn steps(view: &View) -> [Option<Step>; 10] {
        Chain::ALL.map(|chain| pick(chain, view).given().map(|given| given.step.clone()))
    }

    #[test]
    fn the_role_of_the_instance_is_used_where_there_is_nothing_else() {
        let mut view = view(&[], &[], "", "");
        assert_eq!(steps(&view), [const { Some(Step::InstanceRole) }; 10]);
        view.instance_role = Presence::Unknown;
        assert_eq!(steps(&view), [const { Some(Step::InstanceRole) }; 10]);
        view.instance_role = Presence::No;
        assert!(Chain::ALL.iter().all(|chain| pick(*chain, &view).outcome == Outcome::Nothing));
        let disabled = self::view(&[("AWS_EC2_METADATA_DISABLED", "TRUE")], &[], "", "");
        assert!(Chain::ALL.iter().all(|chain| pick(*chain, &disabled).outcome == Outcome::Nothing));
    }

    #[test]
    fn keys_in_the_environment_shadow_the_role_of_the_instance() {
        let token = ("AWS_SESSION_TOKEN", SECRET);
        for (variables, life) in [(KEYS.to_vec(), Life::LongLived), ([&KEYS[..], &[token]].concat(), Life::Unrenewed)] {
            let view = view(&variables, &[], "", "");
            for chain in Chain::ALL {
                let pick = pick(chain, &view);
                let given = pick.given().unwrap();
                assert_eq!((&given.step, given.life), (&Step::Environment, life), "{chain}");
                assert!(pick.shadows_instance_role() && !pick.shadows_container(), "{chain}");
                assert!(given.evidence.contains("AWS_ACCESS_KEY_ID"), "{}", given.evidence);
            }
        }
    }

    #[test]
    fn half_a_pair_of_keys_stops_botocore_and_nobody_else() {
        let view = view(&KEYS[..1], &[], "", "");
        for chain in Chain::ALL {
            let pick = pick(chain, &view);
            if chain == Chain::Botocore {
                let Outcome::Failed(failure @ Failure::PartialKeys { .. }) = &pick.outcome else { panic!("{pick:?}") };
                let text = failure.to_string();
                assert_eq!(text, "AWS_ACCESS_KEY_ID is set in the environment, and AWS_SECRET_ACCESS_KEY is not");
                assert!(pick.shadows_instance_role());
            } else {
                assert_eq!(pick.given().unwrap().step, Step::InstanceRole, "{chain}");
                assert_eq!(pick.passed_over.len(), 1, "{chain}");
            }
        }
        assert_eq!(steps(&self::view(&KEYS[1..], &[], "", "")), [const { Some(Step::InstanceRole) }; 10]);
    }

    #[test]
    fn a_profile_that_a_variable_names_wins_over_keys_in_javascript_and_version_3_for_dotnet_alone() {
        let variables = [KEYS[0], KEYS[1], ("AWS_PROFILE", "a")];
        let view = view(&variables, &[], "", &format!("[a]\n{STATIC}"));
        let env = || Some(Step::Environment);
        let named = || profile("a", How::Static);
        assert_eq!(steps(&view), [env(), env(), env(), env(), env(), named(), named(), env(), env(), env()]);
        let mut named = self::view(&KEYS, &[], "", &format!("[a]\n{STATIC}"));
        named.profile = Some("a".to_owned());
        let profile = || profile("a", How::Static);
        let [botocore, java_v1, java_v2, rust, others @ ..] = steps(&named);
        assert_eq!([botocore, java_v1, java_v2, rust], [profile(), env(), env(), env()]);
        assert!(others.iter().all(|step| *step == profile()), "{others:?}");
    }

    #[test]
    fn a_profile_that_is_missing_is_an_error_where_somebody_asks_for_it() {
        let of = |variables: &[(&str, &str)]| {
            let view = view(variables, &[], "", "[b]\n");
            Chain::ALL.map(|chain| match pick(chain, &view).outcome {
                Outcome::Failed(Failure::ProfileMissing { name, .. }) => Some(name),
                outcome => {
                    assert!(matches!(outcome, Outcome::Picked(Given { step: Step::InstanceRole, .. })), "{outcome:?}");
                    None
                }
            })
        };
        let missing = || Some("a".to_owned());
        let of_dotnet = || [None, missing(), None, missing()];
        let by_variable = [missing(), None, None, missing(), missing(), None];
        assert_eq!(of(&[("AWS_PROFILE", "a")]).to_vec(), [&by_variable[..], &of_dotnet()].concat());
        let [first @ .., _, _, _, _] = of(&[("AWS_DEFAULT_PROFILE", "a")]);
        assert_eq!(first, [missing(), None, None, None, missing(), None]);
        assert_eq!(of(&[]), [const { None }; 10]);
    }

    #[test]
    fn java_properties_are_of_java_and_each_version_has_its_order() {
        let arguments = ["-Daws.accessKeyId=wJalrXUtnFEMI", "-Daws.secretKey=wJalrXUtnFEMI"];
        let role = || Some(Step::InstanceRole);
        let of_v1 = || Some(Step::SystemProperties);
        let (of_java, others) = (steps(&view(&[], &arguments, "", "")), [const { Some(Step::InstanceRole) }; 7]);
        assert_eq!((&of_java[..3], &of_java[3..]), (&[role(), of_v1(), role()][..], &others[..]));
        let both = steps(&view(&KEYS, &[arguments[0], "-Daws.secretAccessKey=wJalrXUtnFEMI"], "", ""));
        assert_eq!((&both[1], &both[2]), (&Some(Step::Environment), &Some(Step::SystemProperties)));
        let newer = steps(&view(&[], &[arguments[0], "-Daws.secretAccessKey=wJalrXUtnFEMI"], "", ""));
        assert_eq!((&newer[1], &newer[2]), (&role(), &Some(Step::SystemProperties)));
    }

    #[cfg(unix)]
    #[test]
    fn a_web_identity_comes_before_the_files_or_after_them() {
        let variables = [("AWS_WEB_IDENTITY_TOKEN_FILE", "/t"), ("AWS_ROLE_ARN", "arn")];
        let view = view(&variables, &[], "", &format!("[default]\n{STATIC}"));
        let web = || Some(Step::WebIdentity);
        let keys = || profile("default", How::Static);
        let expected = [web(), web(), web(), keys(), web(), keys(), web(), web(), keys(), web()];
        assert_eq!(steps(&view), expected);
    }

    #[test]
    fn a_profile_with_several_ways_is_read_differently() {
        let process = "credential_process = /opt/tool\n";
        let view = view(&[], &[], "", &format!("[default]\n{STATIC}{process}"));
        let (keys, tool) = (|| profile("default", How::Static), || profile("default", How::Process));
        // What has two of them is of no kind for .NET.
        let role = || Some(Step::InstanceRole);
        let expected = [keys(), tool(), tool(), tool(), keys(), keys(), role(), role(), role(), role()];
        assert_eq!(steps(&view), expected);
        let in_config = self::view(&[], &[], &format!("[default]\n{STATIC}{process}"), "");
        assert_eq!(steps(&in_config)[0], tool());
    }

    #[test]
    fn what_a_role_is_assumed_with_is_not_shadowed() {
        let config = "[profile a]\nrole_arn=arn\nsource_profile=b\n[profile b]\nrole_arn=arn\n\
                      credential_source=Ec2InstanceMetadata\n";
        let view = view(&[("AWS_PROFILE", "a")], &[], config, "");
        for chain in Chain::ALL {
            let pick = pick(chain, &view);
            assert!(!pick.shadows_instance_role(), "{chain}: {pick:?}");
            let base = pick.given().and_then(|given| given.base.clone());
            // Version 1 of Java takes keys alone from a source, and PowerShell does not know the variable.
            let is_found = !matches!(chain, Chain::JavaV1 | Chain::PowerShellV4);
            assert_eq!(base.is_some(), is_found, "{chain}: {pick:?}");
        }
    }

    #[test]
    fn a_circle_of_profiles_ends() {
        let config = "[profile a]\nrole_arn=arn\nsource_profile=b\n[profile b]\nrole_arn=arn\nsource_profile=a\n";
        let view = view(&[("AWS_PROFILE", "a")], &[], config, "");
        for chain in Chain::ALL.into_iter().filter(|chain| *chain != Chain::PowerShellV4) {
            let pick = pick(chain, &view);
            let is_lenient = !matches!(chain, Chain::Botocore | Chain::Rust | Chain::Go);
            assert_eq!(
                matches!(pick.outcome, Outcome::Failed(Failure::Profile { .. })),
                !is_lenient,
                "{chain}: {pick:?}"
            );
            assert_eq!(pick.passed_over.len(), usize::from(is_lenient), "{chain}: {pick:?}");
        }
    }

    #[test]
    fn a_chain_of_roles_is_followed_as_far_as_any_real_one_goes_and_not_until_the_stack_is_full() {
        let chained = |roles: usize| {
            let role = |number| format!("[profile p{number}]\nrole_arn=arn\nsource_profile=p{}\n", number + 1);
            let config: String = (0..roles).map(role).collect();
            view(&[("AWS_PROFILE", "p0")], &[], &format!("{config}[profile p{roles}]\n{STATIC}"), "")
        };
        let (short, endless) = (chained(16), chained(23_000));
        // Version 1 of Java takes keys alone from a source, and PowerShell does not know the variable.
        let does_follow = |chain: &Chain| !matches!(chain, Chain::JavaV1 | Chain::PowerShellV4);
        for chain in Chain::ALL.into_iter().filter(does_follow) {
            let followed = pick(chain, &short);
            assert_eq!(followed.given().and_then(|given| given.base.clone()), profile("p16", How::Static), "{chain}");
            let given_up = pick(chain, &endless);
            let told = given_up.passed_over.iter().map(ToString::to_string).chain([given_up.outcome.to_string()]);
            let reason = "is followed through 64 others by source_profile, and no further";
            assert!(told.into_iter().any(|text| text.ends_with(reason)), "{chain}: {given_up:?}");
        }
    }

    #[test]
    fn a_profile_may_be_its_own_source_if_it_has_keys() {
        let config = format!("[profile a]\nrole_arn=arn\nsource_profile=a\n{STATIC}");
        let view = view(&[("AWS_PROFILE", "a")], &[], &config, "");
        for chain in [Chain::Botocore, Chain::Rust, Chain::Go, Chain::JsV3] {
            let pick = pick(chain, &view);
            assert_eq!(
                pick.given().map(|given| given.step.clone()),
                profile("a", How::AssumeRole),
                "{chain}: {pick:?}"
            );
            assert_eq!(pick.given().and_then(|given| given.base.clone()), profile("a", How::Static), "{chain}");
        }
    }

    #[test]
    fn only_version_2_of_java_goes_on_to_the_instance_where_a_container_is_silent() {
        let mut view = view(&[("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", SECRET)], &[], "", "");
        assert_eq!(steps(&view), [const { Some(Step::Container) }; 10]);
        view.container = Presence::No;
        let [_, _, java_v2, ..] = steps(&view);
        assert_eq!(java_v2, Some(Step::InstanceRole));
        assert_eq!(steps(&view).into_iter().flatten().count(), 1);
    }

    #[test]
    fn a_token_of_a_container_goes_to_known_hosts_alone() {
        for (url, is_trusted) in [
            ("http://127.0.0.2:80/a", true),
            ("http://[::1]/a", true),
            ("http://[fd00:ec2::23]/v1/credentials", true),
            ("http://169.254.170.23/v1/credentials", true),
            ("https://example.com/a", true),
            ("http://example.com/a", false),
            ("http://169.254.170.2.example.com/a", false),
            ("169.254.170.2", false),
        ] {
            let view = view(&[("AWS_CONTAINER_CREDENTIALS_FULL_URI", url)], &[], "", "");
            let outcome = pick(Chain::Rust, &view).outcome;
            assert_eq!(outcome == Outcome::Failed(Failure::ContainerRefused), !is_trusted, "{url}: {outcome:?}");
        }
    }

    #[test]
    fn a_line_that_cannot_be_read_stops_the_strict_even_if_there_are_keys() {
        let view = view(&KEYS, &[], "[default\n", "");
        let env = Some(Step::Environment);
        let expected = Chain::ALL.map(|chain| match chain {
            Chain::Botocore | Chain::JavaV2 => None,
            _ => env.clone(),
        });
        assert_eq!(steps(&view), expected);
        let without_keys = self::view(&[], &[], "[default\n", "");
        assert!(matches!(pick(Chain::Rust, &without_keys).outcome, Outcome::Failed(Failure::File { .. })));
    }

    #[test]
    fn a_session_that_is_missing_stops_botocore_even_if_there_are_keys() {
        let view = view(&KEYS, &[], "[default]\nsso_session = s\n", "");
        let pick = pick(Chain::Botocore, &view);
        assert!(matches!(pick.outcome, Outcome::Failed(Failure::Profile { .. })), "{pick:?}");
        assert_eq!(pick.shadows.first().map(|given| &given.step), Some(&Step::Environment));
    }

    #[test]
    fn a_role_in_a_variable_wins_over_that_of_a_profile_with_a_token() {
        let config = "[default]\nrole_arn=in-file\nweb_identity_token_file=/t\n";
        let view = view(&[("AWS_ROLE_ARN", "in-variable")], &[], config, "");
        let pick = pick(Chain::Botocore, &view);
        let given = pick.given().unwrap();
        assert_eq!(Some(given.step.clone()), profile("default", How::WebIdentity));
        assert!(given.evidence.ends_with("for the role of AWS_ROLE_ARN: in-variable"), "{}", given.evidence);
    }

    /// Parts of an environment, of which any may be there.
    fn any_view() -> impl Strategy<Value = View> {
        const VARIABLES: [(&str, &str); 11] = [
            KEYS[0],
            KEYS[1],
            ("AWS_SESSION_TOKEN", SECRET),
            ("AWS_PROFILE", "a"),
            ("AWS_DEFAULT_PROFILE", "b"),
            ("AWS_WEB_IDENTITY_TOKEN_FILE", "/t"),
            ("AWS_ROLE_ARN", "arn"),
            ("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", SECRET),
            ("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://127.0.0.1/wJalrXUtnFEMI"),
            ("AWS_EC2_METADATA_DISABLED", "true"),
            ("AWS_CONTAINER_AUTHORIZATION_TOKEN", SECRET),
        ];
        const LINES: [&str; 16] = [
            "aws_access_key_id=wJalrXUtnFEMI",
            "aws_secret_access_key=wJalrXUtnFEMI",
            "aws_session_token=wJalrXUtnFEMI",
            "role_arn=arn",
            "source_profile=a",
            "source_profile=b",
            "source_profile=c",
            "credential_source=Environment",
            "credential_source=Ec2InstanceMetadata",
            "web_identity_token_file=/t",
            "sso_account_id=1",
            "sso_role_name=r",
            "sso_session=s",
            "credential_process=/opt/tool --password wJalrXUtnFEMI",
            "login_session=arn",
            "wJalrXUtnFEMI",
        ];
        const ARGUMENTS: [&str; 3] =
            ["-Daws.accessKeyId=wJalrXUtnFEMI", "-Daws.secretKey=wJalrXUtnFEMI", "-Daws.profile=b"];
        let section = || subsequence(LINES.to_vec(), 0..6).prop_map(|lines| lines.join("\n"));
        let presence = || select(vec![Presence::Yes, Presence::No, Presence::Unknown]);
        let variables = subsequence(VARIABLES.to_vec(), 0..VARIABLES.len());
        let arguments = subsequence(ARGUMENTS.to_vec(), 0..=3);
        let files = (section(), section(), section(), section());
        (variables, arguments, files, presence(), presence()).prop_map(
            |(variables, arguments, (one, two, three, four), container, instance_role)| {
                let config = format!("[default]\n{one}\n[profile a]\n{two}\n[sso-session s]\nsso_region=r\n");
                let credentials = format!("[a]\n{three}\n[b]\n{four}\n");
                let mut view = view(&variables, &arguments, &config, &credentials);
                (view.container, view.instance_role) = (container, instance_role);
                view
            },
        )
    }

    #[test]
    fn nothing_that_a_file_or_a_variable_says_writes_to_the_terminal() {
        let odd = "a\u{1b}[2Jb";
        let texts = [
            format!("[{odd}]\nrole_arn = c\nsource_profile = \u{7}d\n"),
            format!("[{odd}]\nrole_arn = c\ncredential_source = \u{7}d\n"),
            format!("[{odd}]\nsso_session = \u{7}d\nsso_account_id = e\nsso_role_name = f\n"),
            format!("[{odd}]\n{STATIC}"),
            String::new(),
        ];
        let role = [("AWS_ROLE_ARN", "\u{1b}r"), ("AWS_WEB_IDENTITY_TOKEN_FILE", "/\u{1b}t"), ("AWS_PROFILE", odd)];
        for text in texts {
            for (variables, chain) in [&role[2..], &role].into_iter().flat_map(|some| Chain::ALL.map(|one| (some, one)))
            {
                let pick = pick(chain, &view(variables, &[], "", &text));
                let shadows = pick.shadows.iter().map(|given| format!("{} {}", given.step, given.evidence));
                let told = pick.given().map(|given| format!("{} {}", given.step, given.evidence)).into_iter();
                let failures = pick.passed_over.iter().map(ToString::to_string);
                for text in shadows.chain(told).chain(failures).chain([pick.outcome.to_string()]) {
                    assert!(!text.contains(char::is_control), "{chain}: {text:?}");
                }
            }
        }
        let long = "x".repeat(10_000);
        let pick = pick(Chain::Rust, &view(&[("AWS_PROFILE", &long)], &[], "", "[b]\n"));
        assert!(pick.outcome.to_string().len() < 1_000, "{pick:?}");
    }

    proptest! {
        #[test]
        fn every_search_ends_the_same_way_each_time_and_what_is_picked_shadows_others(view in any_view()) {
            for chain in Chain::ALL {
                let pick = pick(chain, &view);
                prop_assert_eq!(&pick, &super::pick(chain, &view));
                if let Some(given) = pick.given() {
                    prop_assert!(pick.shadows.iter().all(|shadow| shadow.step != given.step), "{:?}", pick);
                }
                if pick.outcome == Outcome::Nothing {
                    prop_assert!(pick.shadows.is_empty() && view.instance_role != Presence::Yes
                        || view.has("AWS_EC2_METADATA_DISABLED") || view.container == Presence::No, "{:?}", pick);
                }
            }
        }

        #[test]
        fn no_secret_is_shown(view in any_view()) {
            for chain in Chain::ALL {
                let pick = pick(chain, &view);
                let shown = format!("{view:?} {pick:?} {} {:?}", pick.outcome, pick.passed_over);
                prop_assert!(!shown.to_lowercase().contains(&SECRET.to_lowercase()), "{}", shown);
            }
        }
    }
}
