//! Whom a proxy of Windows keeps from the metadata service.

use super::environment::Proxies;
use super::winhttp::{KEY, VALUE, WinHttp};
use super::wininet::WinInet;
use crate::doctor::imds::proxy::ProxyEnv;
use crate::doctor::report::{Area, Check};
use crate::doctor::windows::around::Around;
use crate::doctor::windows::reader::Reader;
use crate::doctor::windows::text::shown;

/// The check of the proxies that are no variables of a process.
pub const NAME: &str = "imds-proxy-windows";

/// What the three places say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// The settings of each user.
    pub wininet: Vec<WinInet>,
    /// The settings of the machine.
    pub winhttp: Option<WinHttp>,
    /// The variables.
    pub environment: Proxies,
}

impl Facts {
    /// Reads them.
    pub fn read(reader: &Reader<'_>) -> Self {
        Self {
            wininet: WinInet::read(reader),
            winhttp: reader.bytes(KEY, VALUE).and_then(|bytes| WinHttp::read(&bytes)),
            environment: Proxies::read(reader),
        }
    }
}

/// Who is led astray, and by which place.
pub fn check(facts: &Facts, around: &Around) -> Check {
    let evidence = evidence(facts);
    if !around.is_ec2 {
        return Check::skipped(Area::Imds, NAME, "this is no EC2 instance").with_evidence(evidence);
    }
    let swallowed = facts.environment.swallowed();
    let mut astray: Vec<(String, String)> = facts.wininet.iter().filter_map(|one| of_wininet(one, facts)).collect();
    if !swallowed.is_empty() {
        let who = format!("the variables of the machine those of {}", swallowed.join(", "));
        astray.push((who, facts.environment.remedy()));
    }
    if astray.is_empty() {
        let summary = match evidence.is_empty() {
            true => "Windows names no proxy",
            false => "no proxy of Windows is asked for the metadata service",
        };
        return Check::ok(Area::Imds, NAME, summary).with_evidence(evidence);
    }
    let (who, remedies): (Vec<String>, Vec<String>) = astray.into_iter().unzip();
    let summary = format!("a proxy is sent requests for the metadata service: by {}", who.join("; by "));
    let effect = "The proxy cannot reach the metadata service of this instance: those SDKs find no credentials or those of \
                  the proxy's own host.";
    Check::warning(Area::Imds, NAME, summary, effect, remedies.join("; ")).with_evidence(evidence)
}

fn of_wininet(settings: &WinInet, facts: &Facts) -> Option<(String, String)> {
    let env = match settings.whose {
        "this user" => &facts.environment.user,
        _ => &facts.environment.machine,
    };
    let botocore = settings.swallows_botocore() && !Proxies::is_named(env);
    // Settings of the machine are nothing that botocore reads.
    let botocore = botocore && settings.whose != "the machine";
    let who = match (settings.swallows(), botocore) {
        (true, true) => ".NET, PowerShell and botocore",
        (true, false) => ".NET and PowerShell",
        (false, true) => "botocore",
        (false, false) => return None,
    };
    Some((format!("the Internet settings of {} those of {who}", settings.whose), settings.remedy()))
}

fn evidence(facts: &Facts) -> Vec<String> {
    let except = |bypass: &str| match bypass.trim().is_empty() {
        true => "no exceptions".to_owned(),
        false => format!("not for {}", shown(bypass)),
    };
    let wininet = facts.wininet.iter().flat_map(|one| {
        let proxy = one.proxy.as_ref().map(|proxy| {
            format!("Internet settings (WinINET) of {}: {}, {}", one.whose, shown(proxy), except(&one.bypass))
        });
        let script = one.has_script.then(|| {
            format!("Internet settings (WinINET) of {}: a script decides for .NET (AutoConfigURL)", one.whose)
        });
        proxy.into_iter().chain(script)
    });
    let winhttp = facts.winhttp.iter().map(|one| {
        format!("WinHTTP: {}, {}; services of Windows use it, and no SDK here", shown(&one.proxy), except(&one.bypass))
    });
    // Windows has no second variable in lower case.
    let told = |env: &ProxyEnv| -> Vec<String> {
        env.told().into_iter().filter(|line| line.starts_with(|c: char| c.is_ascii_uppercase())).collect()
    };
    let machine = told(&facts.environment.machine);
    let of_user = told(&facts.environment.user).into_iter().filter(|line| !machine.contains(line));
    let of_user: Vec<String> = of_user.map(|line| format!("variables of this user: {}", shown(&line))).collect();
    let machine = machine.iter().map(|line| format!("variables of the machine: {}", shown(line)));
    wininet.chain(winhttp).chain(machine).chain(of_user).collect()
}
