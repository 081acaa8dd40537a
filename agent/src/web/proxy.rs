//! Which destinations are reached through a proxy, as reqwest reads the variables, and which never are.

use std::net::IpAddr;

use reqwest::Url;

use crate::setting::address::{is_of_vpc, is_on_link};

/// What the proxy variables say. A proxy's URL may hold a password, so nothing of it is kept but its scheme.
#[derive(Clone, Copy, Debug, Default)]
pub struct Proxies {
    http: Option<Scheme>,
    https: Option<Scheme>,
}

/// How the agent speaks to a proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// Plain HTTP.
    Plain,
    /// HTTP over TLS, whose certificate is judged like any other.
    Tls,
}

impl Proxies {
    /// Reads `HTTPS_PROXY`, `HTTP_PROXY` and `ALL_PROXY`, each in upper case or else in lower case, and ignores them all
    /// where `REQUEST_METHOD` is set: under CGI, `HTTP_PROXY` is a header that any client may send.
    pub fn new(env: &dyn Fn(&str) -> Option<String>) -> Self {
        if env("REQUEST_METHOD").is_some() {
            return Self::default();
        }
        let read = |upper: &str| scheme_of(upper, &env(upper).or_else(|| env(&upper.to_ascii_lowercase()))?);
        let all = read("ALL_PROXY");
        Self { http: read("HTTP_PROXY").or(all), https: read("HTTPS_PROXY").or(all) }
    }

    /// The proxy to `url`, unless `NO_PROXY` excepts it; `None` where there is none. A `url` that is not known, because it
    /// is a secret, is taken for an `https://` one of somebody else.
    pub fn to(&self, url: Option<&Url>) -> Option<Scheme> {
        match url {
            Some(url) if is_near(url) => None,
            Some(url) if url.scheme() == "http" => self.http,
            _ => self.https,
        }
    }
}

fn scheme_of(variable: &str, proxy: &str) -> Option<Scheme> {
    let scheme = proxy.split_once("://").map_or("http", |(scheme, _)| scheme).to_ascii_lowercase();
    if scheme.starts_with("socks") {
        tracing::warn!(variable, "a SOCKS proxy cannot be used: name an HTTP proxy, or except hosts by NO_PROXY");
    }
    match scheme.as_str() {
        _ if proxy.is_empty() => None,
        "https" => Some(Scheme::Tls),
        _ => Some(Scheme::Plain),
    }
}

/// Whether the host is this one or on the same link, AWS's own fd00:ec2::/32 included. No proxy reaches what is meant.
fn is_near(url: &Url) -> bool {
    let Some(host) = url.host_str() else { return false };
    let Ok(address) = host.trim_matches(['[', ']']).parse::<IpAddr>() else {
        let name = host.trim_end_matches('.');
        return name == "localhost" || name.ends_with(".localhost");
    };
    let address = address.to_canonical();
    is_on_link(address) || is_of_vpc(address)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proxies(variables: &[(&str, &str)]) -> Proxies {
        Proxies::new(&|name| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned()))
    }

    fn to(variables: &[(&str, &str)], url: &str) -> Option<Scheme> {
        proxies(variables).to(Some(&Url::parse(url).unwrap()))
    }

    #[test]
    fn the_upper_case_wins_the_scheme_chooses_and_all_proxy_stands_in() {
        let (http, https) = ("http://example.com/", "https://example.com/");
        assert_eq!(to(&[], https), None);
        assert_eq!(to(&[("HTTPS_PROXY", "https://p:1"), ("https_proxy", "http://q:1")], https), Some(Scheme::Tls));
        assert_eq!(to(&[("https_proxy", "p:3128")], https), Some(Scheme::Plain));
        assert_eq!(to(&[("https_proxy", "p:3128")], http), None);
        assert_eq!(to(&[("http_proxy", "HTTPS://p")], http), Some(Scheme::Tls));
        assert_eq!(to(&[("HTTPS_PROXY", ""), ("https_proxy", "http://q:1")], https), None, "as reqwest has it");
        for url in [http, https] {
            assert_eq!(to(&[("all_proxy", "http://p")], url), Some(Scheme::Plain));
        }
        assert_eq!(proxies(&[("HTTPS_PROXY", "http://p")]).to(None), Some(Scheme::Plain), "a secret URL is https");
    }

    #[test]
    fn under_cgi_no_variable_is_believed() {
        let cgi = [("REQUEST_METHOD", "GET"), ("HTTP_PROXY", "http://evil"), ("HTTPS_PROXY", "http://evil")];
        assert_eq!((to(&cgi, "http://example.com"), to(&cgi, "https://example.com")), (None, None));
    }

    #[test]
    fn what_is_on_this_host_or_on_its_link_is_never_reached_through_a_proxy() {
        let all = [("ALL_PROXY", "http://p")];
        let near = [
            "169.254.169.254",
            "127.0.0.1",
            "127.9.9.9:4318",
            "2130706433",
            "[::1]:4318",
            "[::ffff:127.0.0.1]",
            "[fe80::1]",
            "[febf::1]",
            "[fd00:ec2::254]",
            "localhost",
            "LOCALHOST:4318",
            "collector.localhost",
        ];
        let far = ["10.0.0.1", "169.253.0.1", "[fd00:ec3::1]", "[fec0::1]", "localhost.example.com", "notlocalhost"];
        for scheme in ["http", "https"] {
            for host in near {
                assert_eq!(to(&all, &format!("{scheme}://{host}/")), None, "{host}");
            }
            for host in far {
                assert_eq!(to(&all, &format!("{scheme}://{host}/")), Some(Scheme::Plain), "{host}");
            }
        }
    }
}
