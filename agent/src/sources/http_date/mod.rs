//! The `Date` of an HTTPS server: true time to a second or so, where no better witness can be reached, and from AWS itself
//! the very clock by which it judges.

mod answer;
mod exchange;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use reqwest::Url;

use self::answer::Refusal;
use self::exchange::Exchange;
use super::kind::{AWS_API, SourceKind, Words};
use super::pace::Cadence;
use super::witness::Witness;
use crate::clock::true_clock::TrueClock;
use crate::setting::address::is_host_on_link;
use crate::setting::fault::Fault;
use crate::setting::locate::Path;
use crate::sys::WORDS;

/// What is written for AWS's own endpoint.
const AWS: &str = "aws";
/// The domains of AWS's endpoints.
const DOMAINS: [&str; 3] = [".amazonaws.com", ".amazonaws.com.cn", ".api.aws"];

/// Whose date is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// AWS's Security Token Service: in the region of this process, or else the global one.
    Aws,
    /// This server.
    Url(Url),
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Aws => f.write_str(AWS),
            Self::Url(url) => fmt::Display::fmt(url, f),
        }
    }
}

impl Endpoint {
    fn is_aws(&self) -> bool {
        match self {
            Self::Aws => true,
            Self::Url(url) => url.host_str().is_some_and(|host| DOMAINS.iter().any(|domain| host.ends_with(domain))),
        }
    }

    /// What is asked. `env` names the region of this process.
    fn url(&self, env: &dyn Fn(&str) -> Option<String>) -> String {
        match self {
            Self::Aws => sts(["AWS_REGION", "AWS_DEFAULT_REGION"].into_iter().find_map(env).as_deref()),
            Self::Url(url) => url.to_string(),
        }
    }
}

/// The Security Token Service of a region. It judges signatures itself, and private subnets often have an endpoint of it.
fn sts(region: Option<&str>) -> String {
    let is_plain = |region: &&str| region.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    match region.filter(is_plain).filter(|region| !region.is_empty()) {
        Some(region) if region.starts_with("cn-") => format!("https://sts.{region}.amazonaws.com.cn/"),
        Some(region) => format!("https://sts.{region}.amazonaws.com/"),
        None => "https://sts.amazonaws.com/".to_owned(),
    }
}

impl SourceKind for Endpoint {
    type Written = String;

    fn check(written: &String, at: &Path) -> Result<Self, Fault> {
        if written == AWS {
            return Ok(Self::Aws);
        }
        let refuse = |message: &str| Err(Fault::at(at.clone(), message.to_owned()));
        let Ok(url) = Url::parse(written) else {
            return refuse("write aws, or an https:// URL such as https://sts.eu-central-1.amazonaws.com/");
        };
        if !url.username().is_empty() || url.password().is_some() || url.query().is_some() || url.fragment().is_some() {
            return refuse(
                "a URL that is asked for the time has no user, no query and no fragment: nothing in it is secret",
            );
        }
        match url.scheme() {
            "https" if url.has_host() => Ok(Self::Url(url)),
            "http" if is_near(&url) => Ok(Self::Url(url)),
            _ => refuse(
                "over plain HTTP anybody on the way could tell another time: write https://, or http:// and a loopback or \
                 link-local address",
            ),
        }
    }

    fn written(&self) -> String {
        self.to_string()
    }

    /// Each question is a request over TLS, wherever the server is.
    fn is_near(&self) -> bool {
        false
    }

    /// Once, and once more to confirm it: an endpoint of AWS counts requests.
    fn most_at_once(&self) -> Option<u32> {
        Some(2)
    }

    fn cadence(&self) -> Cadence {
        let minute = Duration::from_secs(60);
        // Two answers soon after the start, so that the first one is confirmed.
        let warm_up = Duration::from_secs(4);
        Cadence { shortest: minute, usual: 5 * minute, warm_up, floor: minute, jitter: 1.0 }
    }

    fn smears_leaps(&self) -> bool {
        self.is_aws()
    }

    fn group(&self) -> Option<&'static str> {
        self.is_aws().then_some(AWS_API)
    }

    fn identity(&self) -> String {
        let Self::Url(url) = self else { return AWS.to_owned() };
        format!("{}:{}", url.host_str().unwrap_or_default(), url.port_or_known_default().unwrap_or_default())
    }

    fn named_twice(&self, first: &Path) -> String {
        format!("{self} is the same server as {first}: it is one witness, however often it is named, so remove one")
    }

    fn witness(&self, clock: &Arc<TrueClock>) -> Box<dyn Witness> {
        let url = self.url(&|name| std::env::var(name).ok());
        Box::new(Exchange::new(url, self.is_aws(), Arc::clone(clock)))
    }

    fn remedy(&self, refusal: &str, _is_ec2: bool) -> String {
        let remedy = Refusal::remedy(refusal);
        match self {
            Self::Aws => format!(
                "{remedy}. It asks the region that AWS_REGION in the environment of the agent names \
                 ({}), or else sts.amazonaws.com",
                WORDS.environment
            ),
            Self::Url(_) => remedy,
        }
    }

    fn words() -> Words {
        Words {
            what: "The `Date` of an HTTPS server, to a second: AWS's own, or another.",
            value: "The server whose `Date` is asked for: `aws` (the Security Token Service in the region of AWS_REGION, or else \
                    the global one), or an https:// URL. Behind a proxy it goes through that.",
            trusted: "false",
            leap_smear: "true for AWS's servers, else false",
            group: "aws-api for AWS's endpoints, else none",
            poll: "60s to 1024s, and up to as much again at random. Default: 5m",
            reference: r"
  # Where UDP 123 is blocked, and on hosts that are not EC2 instances: the clock by which AWS itself judges, to a second. It
  # is asked over the internet or an endpoint of the VPC, and is off unless it is written here.
  #- name: aws
    #http_date: aws
",
        }
    }
}

fn is_near(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    is_host_on_link(host)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint(text: &str) -> Result<Endpoint, String> {
        match Endpoint::check(&text.to_owned(), &Path::root("a")) {
            Ok(endpoint) => Ok(endpoint),
            Err(Fault::At { message, .. }) => Err(message),
            Err(Fault::Variable { name, .. }) => panic!("{name}"),
        }
    }

    #[test]
    fn only_what_nobody_on_the_way_can_change_is_asked() {
        for text in [
            "aws",
            "https://sts.eu-west-1.amazonaws.com/",
            "https://date.example:8443/x",
            "http://127.0.0.1:8080/",
            "http://[::1]/",
            "http://169.254.169.254/",
        ] {
            assert_eq!(endpoint(text).unwrap().to_string(), text);
        }
        for (text, part) in [
            ("http://date.example/", "write https://"),
            ("ftp://date.example/", "write https://"),
            ("date.example", "write aws, or an https:// URL"),
            ("AWS", "write aws"),
            ("", "write aws"),
            ("https://u:hunter2@date.example/", "no user"),
            ("https://date.example/?token=hunter2", "no user, no query"),
        ] {
            let refused = endpoint(text).unwrap_err();
            assert!(refused.contains(part) && !refused.contains("hunter2"), "{text}: {refused}");
        }
    }

    #[test]
    fn the_region_of_the_process_is_asked_or_else_the_global_service() {
        let asked = |region: Option<&str>| {
            let env = |name: &str| region.filter(|_| name == "AWS_DEFAULT_REGION").map(str::to_owned);
            Endpoint::Aws.url(&env)
        };
        assert_eq!(asked(Some("eu-central-1")), "https://sts.eu-central-1.amazonaws.com/");
        assert_eq!(asked(Some("cn-north-1")), "https://sts.cn-north-1.amazonaws.com.cn/");
        for odd in [None, Some(""), Some("eu.evil.example/"), Some("a@b")] {
            assert_eq!(asked(odd), "https://sts.amazonaws.com/", "{odd:?}");
        }
    }

    #[test]
    fn all_endpoints_of_aws_are_one_witness() {
        for text in [
            "aws",
            "https://sts.eu-west-1.amazonaws.com/",
            "https://s3.cn-north-1.amazonaws.com.cn/",
            "https://sts.eu-west-1.api.aws/",
        ] {
            assert_eq!(endpoint(text).unwrap().group(), Some(AWS_API), "{text}");
        }
        for text in ["https://date.example/", "https://amazonaws.com.example/", "https://evilamazonaws.com/"] {
            assert_eq!(endpoint(text).unwrap().group(), None, "{text}");
        }
    }
}
