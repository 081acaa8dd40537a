//! Whose requests to the metadata service go through a proxy: each client has its own rule of `NO_PROXY`.

use reqwest::Url;

use super::no_proxy::{Target, curl_excepts, dotnet_excepts, go_excepts, hyper_excepts, node_excepts, urllib_excepts};
use crate::aws::proxy::Rule;

/// What every rule takes for an exception of the metadata service. The IPv6 address stands in it twice, because urllib and .NET
/// compare it in brackets and all others without.
const EXCEPTIONS: [&str; 3] = ["169.254.169.254", "fd00:ec2::254", "[fd00:ec2::254]"];

/// A variable in upper and in lower case. An empty one is there, and for some rules that makes a difference.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Pair {
    upper: Option<String>,
    lower: Option<String>,
}

impl Pair {
    fn read(env: &dyn Fn(&str) -> Option<String>, upper: &str) -> Self {
        Self { upper: env(upper), lower: env(&upper.to_ascii_lowercase()) }
    }

    /// The same with what may be told of a proxy in the place of its URL.
    fn without_secrets(self) -> Self {
        Self { upper: self.upper.as_deref().map(nameable), lower: self.lower.as_deref().map(nameable) }
    }

    fn upper_first(&self) -> Option<&str> {
        let mut both = [&self.upper, &self.lower].into_iter().filter_map(Option::as_deref);
        both.find(|value| !value.is_empty())
    }

    fn lower_first(&self) -> Option<&str> {
        let mut both = [&self.lower, &self.upper].into_iter().filter_map(Option::as_deref);
        both.find(|value| !value.is_empty())
    }

    /// As urllib reads it: an empty variable in lower case cancels the one in upper case.
    fn as_urllib(&self) -> Option<&str> {
        self.lower.as_deref().or(self.upper.as_deref()).filter(|value| !value.is_empty())
    }

    /// As hyper-util reads it: the first that is there counts even if it is empty.
    fn as_hyper(&self) -> Option<&str> {
        self.upper.as_deref().or(self.lower.as_deref()).filter(|value| !value.is_empty())
    }

    /// Those that are there, with their names.
    fn named(&self, upper: &str) -> Vec<(String, &str)> {
        let named = [(upper.to_owned(), &self.upper), (upper.to_ascii_lowercase(), &self.lower)];
        named.into_iter().filter_map(|(name, value)| Some((name, value.as_deref()?))).collect()
    }
}

/// What an environment says of proxies. The URL of a proxy may hold a password, so nothing of it is kept but scheme,
/// host and port.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProxyEnv {
    http: Pair,
    all: Pair,
    no: Pair,
    is_cgi: bool,
    is_behind_gateway: bool,
    node_follows: bool,
}

impl ProxyEnv {
    /// Reads `HTTP_PROXY`, `ALL_PROXY` and `NO_PROXY` in upper and in lower case, `REQUEST_METHOD` and `GATEWAY_INTERFACE`
    /// (under CGI, `HTTP_PROXY` is a header that any client may send) and `NODE_USE_ENV_PROXY`.
    pub fn new(env: &dyn Fn(&str) -> Option<String>) -> Self {
        Self {
            http: Pair::read(env, "HTTP_PROXY").without_secrets(),
            all: Pair::read(env, "ALL_PROXY").without_secrets(),
            no: Pair::read(env, "NO_PROXY"),
            is_cgi: env("REQUEST_METHOD").is_some(),
            is_behind_gateway: env("GATEWAY_INTERFACE").is_some(),
            node_follows: env("NODE_USE_ENV_PROXY").as_deref() == Some("1"),
        }
    }

    /// Each variable that is there, as `NAME=value`; of a proxy no more than scheme, host and port.
    pub fn told(&self) -> Vec<String> {
        let proxies = self.http.named("HTTP_PROXY").into_iter().chain(self.all.named("ALL_PROXY"));
        let all = proxies.chain(self.no.named("NO_PROXY"));
        all.map(|(name, value)| format!("{name}={}", visible(value))).collect()
    }

    /// The same environment in which every rule excepts the metadata service at `url`; `None` where the exceptions are
    /// `*` already, which a further one would make into a name.
    pub fn mended(&self, url: &Url) -> Option<Self> {
        if self.no.named("NO_PROXY").iter().any(|(_, value)| value.trim() == "*") {
            return None;
        }
        let host = url.host_str().unwrap_or_default();
        let wanted: Vec<_> = EXCEPTIONS.into_iter().chain([host, bare(host)]).filter(|host| !host.is_empty()).collect();
        let with = |value: &str| {
            let mut entries: Vec<&str> = value.split(',').map(str::trim).filter(|entry| !entry.is_empty()).collect();
            for host in &wanted {
                if !entries.contains(host) {
                    entries.push(host);
                }
            }
            entries.join(",")
        };
        let lower = self.no.lower.as_deref().map(with);
        let upper = self.no.upper.as_deref().map(with);
        let upper = if lower.is_none() && upper.is_none() { Some(with("")) } else { upper };
        Some(Self { no: Pair { upper, lower }, ..self.clone() })
    }

    /// What to write into the environment so that it is like `mended`.
    pub fn remedy(&self, url: &Url) -> String {
        let Some(mended) = self.mended(url) else {
            let set = self.http.named("HTTP_PROXY").into_iter().chain(self.all.named("ALL_PROXY"));
            let names: Vec<_> = set.map(|(name, _)| name).collect();
            return format!("unset {}", names.join(" "));
        };
        let settings = mended.no.named("NO_PROXY");
        let settings = settings.iter().map(|(name, value)| format!("{name}={}", quoted(&visible(value))));
        format!("export {}", settings.collect::<Vec<_>>().join(" "))
    }
}

/// Whether a client of this rule sends its requests for `url`, which is by plain HTTP, through a proxy.
pub fn swallows(rule: Rule, env: &ProxyEnv, url: &Url) -> bool {
    let Some(host) = url.host_str() else { return false };
    let target = Target { host: bare(host), bracketed: host, port: url.port_or_known_default().unwrap_or(80) };
    let excepted =
        |list: Option<&str>, excepts: fn(&str, &Target<'_>) -> bool| list.is_some_and(|list| excepts(list, &target));
    match rule {
        Rule::Direct => false,
        Rule::Urllib => {
            let is_header = env.is_cgi && env.http.lower.is_none();
            env.http.as_urllib().is_some() && !is_header && !excepted(env.no.as_urllib(), urllib_excepts)
        }
        Rule::Go => {
            let list = env.no.upper_first().unwrap_or_default();
            env.http.upper_first().is_some() && !env.is_cgi && !go_excepts(list, &target)
        }
        Rule::Hyper => {
            let proxy = env.http.as_hyper().or(env.all.as_hyper());
            proxy.is_some() && !env.is_cgi && !excepted(env.no.as_hyper(), hyper_excepts)
        }
        Rule::Node => {
            env.node_follows && env.http.lower_first().is_some() && !excepted(env.no.lower_first(), node_excepts)
        }
        Rule::DotNet => {
            let told = |value: &'_ Option<String>| value.as_deref().is_some_and(|value| !value.is_empty());
            let http = told(&env.http.lower) || (told(&env.http.upper) && !env.is_behind_gateway);
            let list = env.no.lower.as_deref().or(env.no.upper.as_deref());
            (http || env.all.lower_first().is_some()) && !excepted(list, dotnet_excepts)
        }
        Rule::Curl => {
            let http = env.http.lower.as_deref().filter(|value| !value.is_empty());
            http.or(env.all.lower_first()).is_some() && !excepted(env.no.lower_first(), curl_excepts)
        }
    }
}

/// The host without the brackets of an IPv6 address.
fn bare(host: &str) -> &str {
    host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host)
}

/// Scheme, host and port of a proxy, an empty text where there is none. A text that is no URL may be a password in the
/// wrong place.
fn nameable(proxy: &str) -> String {
    if proxy.is_empty() {
        return String::new();
    }
    let url = Url::parse(proxy).ok().filter(Url::has_host);
    // A password that is not encoded ends the host where nobody meant it to.
    let url = url.filter(|url| !proxy.contains('@') || !url.username().is_empty());
    let named = url.as_ref().and_then(|url| Some((url.scheme(), url.host_str()?, url.port_or_known_default())));
    match named {
        Some((scheme, host, Some(port))) => format!("{scheme}://{host}:{port}"),
        Some((scheme, host, None)) => format!("{scheme}://{host}"),
        None => "(a proxy)".to_owned(),
    }
}

/// The value in the form in which a shell takes it for one word.
fn quoted(value: &str) -> String {
    if value.chars().all(|c| c.is_ascii_alphanumeric() || ",.:/-_[]".contains(c)) {
        return value.to_owned();
    }
    format!("'{}'", value.replace('\'', "'\\''"))
}

/// A text without what could steer a terminal.
fn visible(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::no_proxy::tests::exceptions;
    use super::*;
    use crate::aws::sdk::Sdk;

    const RULES: [Rule; 6] = [Rule::Urllib, Rule::Go, Rule::Hyper, Rule::Node, Rule::Curl, Rule::DotNet];
    const PROXY: &str = "http://proxy.example:3128";

    fn env(variables: &[(&str, &str)]) -> ProxyEnv {
        let read = |name: &str| variables.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
        ProxyEnv::new(&read)
    }

    fn ipv4() -> Url {
        Url::parse("http://169.254.169.254").unwrap()
    }

    fn ipv6() -> Url {
        Url::parse("http://[fd00:ec2::254]").unwrap()
    }

    /// In the order of `RULES`, `p` for the proxy and `d` for directly.
    fn ways(variables: &[(&str, &str)], url: &Url) -> String {
        let variables = [variables, &[("NODE_USE_ENV_PROXY", "1")]].concat();
        RULES.iter().map(|rule| if swallows(*rule, &env(&variables), url) { 'p' } else { 'd' }).collect()
    }

    #[test]
    fn each_rule_knows_its_own_variables() {
        for (variables, expected) in [
            (vec![("HTTP_PROXY", PROXY)], "ppppdp"),
            (vec![("http_proxy", PROXY)], "pppppp"),
            (vec![("ALL_PROXY", PROXY)], "ddpdpp"),
            (vec![("all_proxy", PROXY)], "ddpdpp"),
            (vec![("HTTPS_PROXY", PROXY), ("https_proxy", PROXY)], "dddddd"),
            (vec![("HTTP_PROXY", "")], "dddddd"),
            (vec![("HTTP_PROXY", PROXY), ("REQUEST_METHOD", "GET")], "dddpdp"),
            (vec![("http_proxy", PROXY), ("REQUEST_METHOD", "GET")], "pddppp"),
            (vec![("HTTP_PROXY", PROXY), ("GATEWAY_INTERFACE", "CGI/1.1")], "ppppdd"),
            (vec![("HTTP_PROXY", PROXY), ("NO_PROXY", "169.254.169.254"), ("no_proxy", "a")], "pddpdp"),
        ] {
            assert_eq!(ways(&variables, &ipv4()), expected, "{variables:?}");
        }
    }

    #[test]
    fn an_empty_variable_in_lower_case_cancels_for_urllib_and_one_in_upper_case_for_hyper() {
        let cancelled = env(&[("HTTP_PROXY", PROXY), ("http_proxy", "")]);
        assert!(!swallows(Rule::Urllib, &cancelled, &ipv4()));
        assert!(swallows(Rule::Go, &cancelled, &ipv4()));
        let cancelled = env(&[("HTTP_PROXY", ""), ("http_proxy", PROXY)]);
        assert!(swallows(Rule::Urllib, &cancelled, &ipv4()));
        assert!(!swallows(Rule::Hyper, &cancelled, &ipv4()));
        let cancelled = env(&[("http_proxy", PROXY), ("NO_PROXY", ""), ("no_proxy", "169.254.169.254")]);
        assert!(!swallows(Rule::Go, &cancelled, &ipv4()));
        assert!(swallows(Rule::Hyper, &cancelled, &ipv4()));
    }

    #[test]
    fn node_follows_only_where_it_is_told_to_and_some_sdks_never() {
        let env = env(&[("http_proxy", PROXY)]);
        assert!(!swallows(Rule::Node, &env, &ipv4()));
        for sdk in [Sdk::JavaV2, Sdk::JavaV2Legacy, Sdk::Cpp] {
            assert!(!swallows(sdk.row().proxy, &env, &ipv4()));
        }
        for sdk in [Sdk::Botocore, Sdk::GoV2, Sdk::GoV2Legacy, Sdk::Rust] {
            assert!(swallows(sdk.row().proxy, &env, &ipv4()));
        }
    }

    #[test]
    fn the_remedy_keeps_what_is_excepted_already_and_quotes_what_a_shell_would_not_take_for_a_word() {
        let remedy = |variables: &[(&str, &str)]| env(variables).remedy(&ipv4());
        assert_eq!(remedy(&[("HTTP_PROXY", PROXY)]), "export NO_PROXY=169.254.169.254,fd00:ec2::254,[fd00:ec2::254]");
        assert_eq!(
            remedy(&[("HTTP_PROXY", PROXY), ("no_proxy", "10.0.0.0/8,"), ("NO_PROXY", "it's *")]),
            "export NO_PROXY='it'\\''s *,169.254.169.254,fd00:ec2::254,[fd00:ec2::254]' \
             no_proxy=10.0.0.0/8,169.254.169.254,fd00:ec2::254,[fd00:ec2::254]"
        );
        assert_eq!(
            remedy(&[("HTTP_PROXY", PROXY), ("all_proxy", PROXY), ("NO_PROXY", "*")]),
            "unset HTTP_PROXY all_proxy"
        );
    }

    #[test]
    fn nothing_is_told_of_a_proxy_but_scheme_host_and_port() {
        for (proxy, told) in [
            ("http://user:hunter2@proxy.example:3128/x?hunter2", "http://proxy.example:3128"),
            ("http://user:hunter2@proxy.example", "http://proxy.example:80"),
            ("socks5h://hunter2@proxy.example:1080", "socks5h://proxy.example:1080"),
            ("user:hunter2@proxy.example:3128", "(a proxy)"),
            ("http://hunter2:1/2@proxy.example", "(a proxy)"),
            ("hunter2", "(a proxy)"),
        ] {
            let env = env(&[("HTTP_PROXY", proxy)]);
            assert_eq!(env.told(), [format!("HTTP_PROXY={told}")]);
            assert!(!format!("{env:?} {}", env.remedy(&ipv4())).contains("hunter2"), "{proxy}");
        }
    }

    proptest! {
        #[test]
        fn after_the_remedy_no_sdk_asks_through_a_proxy(
            upper in prop::option::of(exceptions()),
            lower in prop::option::of(exceptions()),
        ) {
            let mut variables = vec![("HTTP_PROXY", PROXY), ("http_proxy", PROXY), ("NODE_USE_ENV_PROXY", "1")];
            variables.extend(upper.as_deref().map(|list| ("NO_PROXY", list)));
            variables.extend(lower.as_deref().map(|list| ("no_proxy", list)));
            let env = env(&variables);
            for url in [ipv4(), ipv6(), Url::parse("http://imds.example:8080").unwrap()] {
                if let Some(mended) = env.mended(&url) {
                    for rule in [Rule::Urllib, Rule::Go, Rule::Hyper, Rule::Node, Rule::DotNet] {
                        prop_assert!(!swallows(rule, &mended, &url), "{:?} {} {:?}", rule, url, mended);
                    }
                }
            }
        }

        #[test]
        fn no_text_makes_a_rule_panic(list: String, proxy: String) {
            let env = env(&[("http_proxy", &proxy), ("no_proxy", &list), ("NODE_USE_ENV_PROXY", "1")]);
            for url in [ipv4(), ipv6()] {
                for rule in RULES {
                    swallows(rule, &env, &url);
                }
                env.remedy(&url);
            }
        }
    }
}
