//! A Windows as it is played, and what the doctor says of it.

use std::collections::BTreeMap;
use std::io;
use std::net::Ipv4Addr;
use std::path::Path;

use crate::doctor::report::{Check, Report, Verdict};
use crate::doctor::text::render;
use crate::doctor::windows::around::Around;
use crate::doctor::windows::checks::check;
use crate::doctor::windows::credentials::Folders;
use crate::doctor::windows::facts::{Facts, gather};
use crate::doctor::windows::w32time::status::tests::ENGLISH;
use crate::sys::system::{Interface, Route, Service, Start, State, System, Value};

pub(super) const W32TIME: &str = r"SYSTEM\CurrentControlSet\Services\W32Time";
pub(super) const POLICY: &str = r"SOFTWARE\Policies\Microsoft\W32Time";
pub(super) const MACHINE: &str = r"SYSTEM\CurrentControlSet\Control\Session Manager\Environment";
pub(super) const INTERNET: &str = r"HKCU\Software\Microsoft\Windows\CurrentVersion\Internet Settings";
pub(super) const ZONE: &str = r"SYSTEM\CurrentControlSet\Control\TimeZoneInformation";
pub(super) const SECRET: &str = "hunter2";

/// Nothing but what is written into it.
#[derive(Clone, Default)]
pub(super) struct Host {
    values: BTreeMap<String, Value>,
    keys: BTreeMap<String, Vec<String>>,
    pub(super) services: BTreeMap<&'static str, Service>,
    pub(super) status: String,
    pub(super) routes: Vec<Route>,
    pub(super) interfaces: Vec<Interface>,
    pub(super) domain: Option<String>,
    files: BTreeMap<String, Vec<u8>>,
    is_locked: bool,
}

impl Host {
    fn answer<T>(&self, answer: T) -> io::Result<T> {
        if self.is_locked { Err(io::Error::from(io::ErrorKind::PermissionDenied)) } else { Ok(answer) }
    }

    pub(super) fn with(mut self, key: &str, name: &str, value: Value) -> Self {
        self.values.insert(place(key, name), value);
        self
    }

    pub(super) fn text(self, key: &str, name: &str, text: &str) -> Self {
        self.with(key, name, Value::Text(text.to_owned()))
    }

    pub(super) fn number(self, key: &str, name: &str, number: u64) -> Self {
        self.with(key, name, Value::Number(number))
    }

    pub(super) fn without(mut self, key: &str, name: &str) -> Self {
        self.values.remove(&place(key, name));
        self
    }

    pub(super) fn service(mut self, name: &'static str, start: Start, state: State) -> Self {
        self.services.insert(name, Service { start, state });
        self
    }

    pub(super) fn says(mut self, status: &str) -> Self {
        status.clone_into(&mut self.status);
        self
    }

    pub(super) fn file(mut self, path: &str, content: &str) -> Self {
        self.files.insert(path.to_owned(), content.as_bytes().to_vec());
        self
    }

    pub(super) fn member(mut self, domain: &str) -> Self {
        self.domain = Some(domain.to_owned());
        self.text(&format!(r"{W32TIME}\Parameters"), "Type", "NT5DS")
    }

    /// A service that nothing starts but the boot.
    pub(super) fn without_triggers(mut self) -> Self {
        self.keys.clear();
        self
    }

    /// Nothing may be asked.
    pub(super) fn locked(self) -> Self {
        Self { is_locked: true, ..self }
    }

    pub(super) fn routed(mut self, routes: Vec<Route>) -> Self {
        self.routes = routes;
        self
    }
}

/// The registry knows no difference between upper and lower case.
fn place(key: &str, name: &str) -> String {
    format!(r"{key}\\{name}").to_ascii_lowercase()
}

impl System for Host {
    fn value(&self, key: &str, name: &str) -> io::Result<Option<Value>> {
        assert!(!name.starts_with("AWS_"), "{name} may be a secret, and is not to be read");
        self.answer(self.values.get(&place(key, name)).cloned())
    }

    fn has(&self, key: &str, name: &str) -> io::Result<bool> {
        self.answer(self.values.contains_key(&place(key, name)))
    }

    fn keys(&self, key: &str) -> io::Result<Vec<String>> {
        self.answer(self.keys.get(key).cloned().unwrap_or_default())
    }

    fn service(&self, name: &str) -> io::Result<Option<Service>> {
        self.answer(self.services.get(name).copied())
    }

    fn run(&self, program: &str, arguments: &[&str]) -> io::Result<String> {
        assert_eq!((program, arguments), ("w32tm.exe", &["/query", "/status", "/verbose"][..]));
        self.answer(self.status.clone())
    }

    fn routes(&self) -> io::Result<Vec<Route>> {
        self.answer(self.routes.clone())
    }

    fn addresses(&self) -> io::Result<Vec<Interface>> {
        self.answer(self.interfaces.clone())
    }

    fn domain(&self) -> io::Result<Option<String>> {
        self.answer(self.domain.clone())
    }

    fn file(&self, path: &Path, cap: usize) -> io::Result<Vec<u8>> {
        let content = path.to_str().and_then(|path| self.files.get(path));
        let content = content.map(|content| content.iter().copied().take(cap).collect());
        self.answer(content)?.ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))
    }
}

pub(super) fn route(to: [u8; 4], prefix: u8, gateway: [u8; 4], interface: Option<u32>, is_persistent: bool) -> Route {
    Route { destination: to.into(), prefix, gateway: gateway.into(), interface, metric: 15, is_persistent }
}

/// The routes of EC2Launch by a gateway.
pub(super) fn routes(gateway: [u8; 4], is_persistent: bool) -> Vec<Route> {
    let out = route([0, 0, 0, 0], 0, [10, 0, 2, 1], Some(5), false);
    let link = route([10, 0, 2, 0], 24, [0, 0, 0, 0], Some(5), false);
    let hosts = [254, 250, 251, 253, 123, 249];
    let hosts = hosts.map(|last| route([169, 254, 169, last], 32, gateway, Some(5), is_persistent));
    [out, link].into_iter().chain(hosts).collect()
}

pub(super) fn interface(index: u32, name: &str, address: [u8; 4], prefix: u8, gateway: Option<[u8; 4]>) -> Interface {
    Interface {
        index,
        name: name.to_owned(),
        description: "Amazon Elastic Network Adapter".to_owned(),
        addresses: vec![(address.into(), prefix)],
        gateways: gateway.map(Ipv4Addr::from).into_iter().collect(),
    }
}

/// An instance of an image of AWS with Windows Server 2022, in no domain.
pub(super) fn ec2() -> Host {
    let client = format!(r"{W32TIME}\TimeProviders\NtpClient");
    let mut host = Host {
        routes: routes([10, 0, 2, 1], false),
        interfaces: vec![interface(5, "Ethernet 2", [10, 0, 2, 15], 24, Some([10, 0, 2, 1]))],
        ..Host::default()
    };
    host.keys.insert(format!(r"{W32TIME}\TriggerInfo"), vec!["0".to_owned(), "1".to_owned()]);
    host.service("W32Time", Start::Automatic, State::Running)
        .text(r"HARDWARE\DESCRIPTION\System\BIOS", "SystemManufacturer", "Amazon EC2")
        .service("Amazon EC2Launch", Start::Automatic, State::Stopped)
        .says(ENGLISH)
        .text(&format!(r"{W32TIME}\Parameters"), "Type", "NTP")
        .text(&format!(r"{W32TIME}\Parameters"), "NtpServer", "169.254.169.123,0x9")
        .number(&client, "Enabled", 1)
        .number(&client, "SpecialPollInterval", 900)
        .number(&format!(r"{W32TIME}\TimeProviders\VMICTimeProvider"), "Enabled", 1)
        .number(&format!(r"{W32TIME}\Config"), "UpdateInterval", 120)
        .number(&format!(r"{W32TIME}\Config"), "MaxPosPhaseCorrection", 54_000)
        .number(&format!(r"{W32TIME}\Config"), "MaxNegPhaseCorrection", 54_000)
        .number(&format!(r"{W32TIME}\Config"), "MaxAllowedPhaseOffset", 1)
        .number(&format!(r"{W32TIME}\Config"), "UtilizeSslTimeData", 0)
        .number(ZONE, "RealTimeIsUniversal", 1)
        .number(ZONE, "ActiveTimeBias", 0)
        .text(ZONE, "TimeZoneKeyName", "UTC")
        .text(r"SYSTEM\CurrentControlSet\Control\ProductOptions", "ProductType", "ServerNT")
        .number(INTERNET, "ProxyEnable", 0)
        .with(
            r"SOFTWARE\Microsoft\Windows\CurrentVersion\Internet Settings\Connections",
            "WinHttpSettings",
            Value::Bytes(vec![0x18, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
        )
}

/// The same as a member of a domain.
pub(super) fn member() -> Host {
    let dc = ENGLISH.replace("0xA9FEA97B (source IP:  169.254.169.123)", "0x0A00010A (source IP:  10.0.1.10)");
    ec2()
        .member("corp.example")
        .says(&dc.replace("169.254.169.123,0x9", "dc1.corp.example"))
        .number(&format!(r"{W32TIME}\Config"), "MaxPosPhaseCorrection", u64::from(u32::MAX))
        .number(&format!(r"{W32TIME}\Config"), "MaxNegPhaseCorrection", u64::from(u32::MAX))
}

/// What is known of an instance that is well.
pub(super) fn well() -> Around {
    Around { is_ec2: true, offset: None, is_clock_wrong: false, is_imds_reached: Some(true) }
}

pub(super) fn facts(host: &Host) -> Facts {
    let folder = |name: &str| Some(format!(r"C:\Users\Administrator{name}"));
    gather(host, &Folders { profile: folder(""), local: folder(r"\AppData\Local") })
}

/// What is said of a host. No secret is in it, and nothing that steers a terminal.
pub(super) fn judged(host: &Host, around: &Around) -> Vec<Check> {
    let checks = check(&facts(host), around);
    let text = printed(&checks);
    assert!(!text.contains(SECRET), "{text}");
    assert!(!text.replace('\n', "").contains(char::is_control), "{text:?}");
    checks
}

pub(super) fn printed(checks: &[Check]) -> String {
    render(&Report::new(checks.to_vec()), &|_, name| name.to_owned())
}

/// The checks that found something, in their order.
pub(super) fn found(checks: &[Check]) -> Vec<(&str, Verdict)> {
    let found = checks.iter().filter(|check| check.verdict > Verdict::Skipped);
    found.map(|check| (check.name.as_str(), check.verdict)).collect()
}

impl Host {
    /// The least that is in order: the service runs, and it has its triggers.
    pub(super) fn service_only(self) -> Self {
        self.service("W32Time", Start::Automatic, State::Running)
    }
}
