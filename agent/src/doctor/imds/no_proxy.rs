//! What a list of `NO_PROXY` excepts, by the rule of each client.

use std::net::{IpAddr, Ipv4Addr};

/// Where a request goes.
pub(super) struct Target<'a> {
    /// In lower case, an IPv6 address without its brackets.
    pub(super) host: &'a str,
    /// The same with brackets.
    pub(super) bracketed: &'a str,
    /// The port, also where the URL does not name it.
    pub(super) port: u16,
}

impl Target<'_> {
    fn ip(&self) -> Option<IpAddr> {
        self.host.parse().ok()
    }
}

/// As `proxy_bypass_environment` of CPython's `urllib/request.py` decides it: by suffixes of names.
pub(super) fn urllib_excepts(list: &str, target: &Target<'_>) -> bool {
    let with_port = format!("{}:{}", target.bracketed, target.port);
    // urllib sees the port only where the URL names it, and it never names 80.
    let hosts = if target.port == 80 { vec![target.bracketed] } else { vec![target.bracketed, &with_port] };
    list == "*"
        || list.split(',').map(str::trim).filter(|entry| !entry.is_empty()).any(|entry| {
            let name = entry.trim_start_matches('.').to_lowercase();
            hosts.iter().any(|host| *host == name || host.ends_with(&format!(".{name}")))
        })
}

/// As `useProxy` in `http/httpproxy/proxy.go` of golang.org/x/net decides it: this host is always excepted.
pub(super) fn go_excepts(list: &str, target: &Target<'_>) -> bool {
    let ip = target.ip();
    if target.host == "localhost" || ip.is_some_and(|ip| ip.is_loopback()) {
        return true;
    }
    list.split(',').map(|entry| entry.trim().to_lowercase()).filter(|entry| !entry.is_empty()).any(|entry| {
        if entry == "*" {
            return true;
        }
        if let Some(network) = Network::parse(&entry) {
            return ip.is_some_and(|ip| network.holds(ip));
        }
        let (host, port) = go_host_and_port(&entry).map_or((entry.as_str(), None), |(host, port)| (host, Some(port)));
        let is_port = port.is_none_or(|port| port.is_empty() || port == target.port.to_string());
        if let Ok(address) = host.parse::<IpAddr>() {
            return is_port && ip.is_some_and(|ip| ip.to_canonical() == address.to_canonical());
        }
        let suffix = host.strip_prefix('*').filter(|rest| rest.starts_with('.')).unwrap_or(host);
        let is_host = match suffix.strip_prefix('.') {
            _ if suffix.is_empty() => false,
            Some(_) => target.host.ends_with(suffix),
            None => target.host == suffix || target.host.ends_with(&format!(".{suffix}")),
        };
        is_port && is_host
    })
}

/// `net.SplitHostPort`: `None` where it reports an error.
fn go_host_and_port(entry: &str) -> Option<(&str, &str)> {
    if let Some(rest) = entry.strip_prefix('[') {
        let (host, rest) = rest.split_once(']')?;
        let port = rest.strip_prefix(':').filter(|port| !port.contains(['[', ']', ':']))?;
        return (!host.contains('[')).then_some((host, port));
    }
    let (host, port) = entry.rsplit_once(':')?;
    (!entry.contains(['[', ']']) && !host.contains(':')).then_some((host, port))
}

/// As `NoProxy::contains` in `client/proxy/matcher.rs` of hyper-util decides it.
pub(super) fn hyper_excepts(list: &str, target: &Target<'_>) -> bool {
    let ip = target.ip();
    list.split(',').map(str::trim).any(|entry| {
        let Some(ip) = ip else { return hyper_is_domain(entry, target.host) };
        match Network::parse(entry) {
            Some(network) => network.holds(ip),
            None => entry.parse() == Ok(ip),
        }
    })
}

fn hyper_is_domain(entry: &str, host: &str) -> bool {
    let name = entry.strip_prefix('.').unwrap_or(entry).to_ascii_lowercase();
    !entry.is_empty() && (entry == "*" || host == name || host.ends_with(&format!(".{name}")))
}

/// As `ProxyConfig.shouldUseProxy` in `lib/internal/http.js` of Node.js 24 decides it.
pub(super) fn node_excepts(list: &str, target: &Target<'_>) -> bool {
    let with_port = format!("{}:{}", target.host, target.port);
    list.split(',').map(|entry| entry.trim().to_lowercase()).any(|entry| {
        let suffix = entry.strip_prefix('.').or_else(|| entry.strip_prefix('*').filter(|rest| rest.starts_with('.')));
        let is_in_range = || {
            let (first, last) = entry.split_once('-')?;
            let first: Ipv4Addr = first.trim().parse().ok()?;
            let last: Ipv4Addr = last.trim().parse().ok()?;
            let address: Ipv4Addr = target.host.parse().ok()?;
            Some((first..=last).contains(&address))
        };
        entry == "*"
            || entry == target.host
            || entry == with_port
            || suffix.is_some_and(|suffix| target.host.ends_with(suffix))
            || is_in_range().unwrap_or(false)
    })
}

/// As `IsMatchInBypassList` in `HttpEnvironmentProxy.cs` of .NET decides it, which compares IPv6 addresses in brackets.
pub(super) fn dotnet_excepts(list: &str, target: &Target<'_>) -> bool {
    list.split(',').map(str::trim).filter(|entry| !entry.is_empty()).any(|entry| {
        let entry = entry.to_lowercase();
        match entry.strip_prefix('.') {
            Some(name) => target.bracketed == name || target.bracketed.ends_with(&entry),
            None => target.bracketed == entry,
        }
    })
}

/// As `Curl_check_noproxy` in `lib/noproxy.c` of curl 8 decides it.
pub(super) fn curl_excepts(list: &str, target: &Target<'_>) -> bool {
    if list == "*" {
        return true;
    }
    let mut rest = list;
    loop {
        rest = rest.trim_start_matches([' ', '\t']);
        let entry = rest.split([' ', '\t', ',']).next().unwrap_or_default();
        if curl_is_host(entry, target) {
            return true;
        }
        rest = rest.strip_prefix(entry).unwrap_or_default().trim_start_matches([' ', '\t']);
        // What follows a blank without a comma is not looked at any more.
        let Some(next) = rest.strip_prefix(',') else { return false };
        rest = next.trim_start_matches(',');
    }
}

fn curl_is_host(entry: &str, target: &Target<'_>) -> bool {
    let Some(ip) = target.ip() else {
        let entry = entry.strip_suffix('.').unwrap_or(entry);
        let name = entry.strip_prefix('.').unwrap_or(entry).to_ascii_lowercase();
        let host = target.host.strip_suffix('.').unwrap_or(target.host);
        return !name.is_empty() && (host == name || host.ends_with(&format!(".{name}")));
    };
    match entry.split_once('/') {
        // A network of no bits is taken for one address.
        Some((address, bits)) if bits.trim_start_matches('0').is_empty() => address.parse() == Ok(ip),
        Some(_) => Network::parse(entry).is_some_and(|network| network.holds(ip)),
        None => entry.parse() == Ok(ip),
    }
}

/// An address and how many of its leading bits count.
struct Network {
    address: IpAddr,
    bits: u32,
}

impl Network {
    fn parse(text: &str) -> Option<Self> {
        let (address, bits) = text.split_once('/')?;
        let address: IpAddr = address.parse().ok()?;
        let bits = bits.parse().ok().filter(|_| bits.bytes().all(|byte| byte.is_ascii_digit()))?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        (bits <= most).then_some(Self { address, bits })
    }

    fn holds(&self, ip: IpAddr) -> bool {
        let differ = match (self.address, ip) {
            (IpAddr::V4(a), IpAddr::V4(b)) => (a.to_bits() ^ b.to_bits()).leading_zeros(),
            (IpAddr::V6(a), IpAddr::V6(b)) => (a.to_bits() ^ b.to_bits()).leading_zeros(),
            _ => return false,
        };
        differ >= self.bits
    }
}

#[cfg(test)]
pub(super) mod tests {
    use hyper_util::client::proxy::matcher::Matcher;
    use proptest::prelude::*;
    use reqwest::Url;

    use super::super::proxy::{ProxyEnv, swallows};
    use crate::aws::proxy::Rule;

    const RULES: [Rule; 6] = [Rule::Urllib, Rule::Go, Rule::Hyper, Rule::Node, Rule::Curl, Rule::DotNet];

    fn env(list: &str) -> ProxyEnv {
        let variables = [("http_proxy", "http://proxy.example:3128"), ("no_proxy", list), ("NODE_USE_ENV_PROXY", "1")];
        ProxyEnv::new(&|name| variables.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned()))
    }

    /// In the order of `RULES`, `p` for the proxy and `d` for directly.
    fn ways(list: &str, url: &str) -> String {
        let url = Url::parse(url).unwrap();
        RULES.iter().map(|rule| if swallows(*rule, &env(list), &url) { 'p' } else { 'd' }).collect()
    }

    /// Exceptions of the forms that people write, and some that nobody should.
    pub(crate) fn exceptions() -> impl Strategy<Value = String> {
        let entry = prop_oneof![
            "[.*]{0,2}(169|254|imds)(\\.(169|254|0|\\*)){0,3}(/[0-9]{1,2})?(:80)?",
            "\\[?fd00:(ec2)?::(254)?\\]?(/[0-9]{1,3})?",
            "[ .,:/*a-z0-9\\[\\]]{0,6}",
        ];
        prop::collection::vec(entry, 0..4).prop_map(|entries| entries.join(","))
    }

    #[test]
    fn each_rule_reads_the_exceptions_in_its_own_way() {
        for (exceptions, expected) in [
            ("", "pppppp"),
            ("169.254.169.254", "dddddd"),
            ("10.0.0.1, 169.254.169.254 ", "dddddd"),
            (".169.254", "ddpdpd"),
            ("169.254", "ddpppp"),
            ("254", "ddpppp"),
            ("69.254.169.254", "pppppp"),
            ("169.254.0.0/16", "pddpdp"),
            ("169.254.169.254/32", "pddpdp"),
            ("169.254.170.0/24", "pppppp"),
            ("0.0.0.0/0", "pddppp"),
            ("169.254.*", "pppppp"),
            ("*.254", "pdpdpp"),
            ("*", "ddpddp"),
            ("localhost,*", "pdpdpp"),
            ("169.254.0.0-169.254.255.255", "pppdpp"),
            ("169.254.169.254:80", "pdpdpp"),
            ("169.254.169.254:8080", "pppppp"),
            ("10.0.0.1 169.254.169.254", "pppppp"),
            ("169.254.169.254.", "pppppp"),
        ] {
            assert_eq!(ways(exceptions, "http://169.254.169.254"), expected, "{exceptions}");
        }
    }

    #[test]
    fn an_address_of_ipv6_is_excepted_in_brackets_by_urllib_and_dotnet_and_without_by_all_others() {
        for (exceptions, expected) in [
            ("169.254.169.254", "pppppp"),
            ("[fd00:ec2::254]", "dppppd"),
            ("fd00:ec2::254", "pddddp"),
            ("fd00:ec2::/32", "pddpdp"),
            ("[fd00:ec2::254]:80", "pdpppp"),
        ] {
            assert_eq!(ways(exceptions, "http://[fd00:ec2::254]"), expected, "{exceptions}");
        }
    }

    #[test]
    fn a_name_excepts_itself_and_what_is_below_it() {
        for (exceptions, expected) in [
            ("example.com", "dddpdp"),
            ("IMDS.Example.com", "dddddd"),
            (".example.com", "dddddd"),
            ("*.example.com", "pdpdpp"),
            ("ample.com", "pppppp"),
        ] {
            assert_eq!(ways(exceptions, "http://imds.example.com"), expected, "{exceptions}");
        }
    }

    #[test]
    fn go_never_sends_requests_for_this_host_through_a_proxy() {
        for (url, expected) in [("http://127.0.0.1:1338", false), ("http://localhost", false), ("http://imds", true)] {
            assert_eq!(swallows(Rule::Go, &env(""), &Url::parse(url).unwrap()), expected, "{url}");
        }
    }

    proptest! {
        #[test]
        fn the_rule_of_the_rust_sdk_is_the_one_of_the_library_that_it_uses(
            list in exceptions(),
            host in prop_oneof![Just("169.254.169.254"), Just("[fd00:ec2::254]"), Just("imds.example")],
        ) {
            let matcher = Matcher::builder().http("http://proxy.example:3128").no(list.as_str()).build();
            let url = format!("http://{host}/");
            let real = matcher.intercept(&url.parse().unwrap()).is_some();
            let ours = swallows(Rule::Hyper, &env(&list), &Url::parse(&url).unwrap());
            prop_assert_eq!(ours, real, "{} for {}", list, host);
        }
    }
}
