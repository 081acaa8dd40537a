//! Hosts whose requests go astray: to the metadata service, or with credentials that nobody meant.

use super::Scene;
use super::host::{Host, INTERNET, MACHINE, SECRET, ec2, interface, member, route, routes, well};
use crate::doctor::windows::around::Around;
use crate::doctor::windows::proxy::winhttp::tests::value;
use crate::doctor::windows::w32time::status::tests::ADRIFT;
use crate::sys::system::Value;

const ROUTE: &str = "imds-route";
const TIME: &str = "clock-route";
const PROXY: &str = "imds-proxy-windows";
const USER: &str = r"HKCU\Environment";
const STORE: &str = r"C:\Users\Administrator\AppData\Local\AWSToolkit\RegisteredAccounts.json";
const SHARED: &str = r"C:\Users\Administrator\.aws\credentials";

fn unreached() -> Around {
    Around { is_imds_reached: Some(false), ..well() }
}

fn proxied(host: Host, key: &str, bypass: &str) -> Host {
    host.number(key, "ProxyEnable", 1)
        .text(key, "ProxyServer", &format!("http://user:{SECRET}@proxy.example:3128"))
        .text(key, "ProxyOverride", bypass)
}

fn with_all(host: Host, key: &str, names: &[&str]) -> Host {
    names.iter().fold(host, |host, name| host.text(key, name, SECRET))
}

/// Hosts on which nothing may be found.
pub(super) fn in_order() -> Vec<(&'static str, Host, Around)> {
    let winhttp = r"SOFTWARE\Microsoft\Windows\CurrentVersion\Internet Settings\Connections";
    let out = vec![route([0, 0, 0, 0], 0, [10, 0, 2, 1], Some(5), false)];
    vec![
        ("no routes but the one that leads out", ec2().routed(out), unreached()),
        ("the routes are odd, and the metadata service answers", ec2().routed(routes([10, 0, 9, 1], false)), well()),
        ("a proxy with the exception", proxied(ec2(), INTERNET, "<local>;169.254.169.254"), well()),
        ("a proxy that is not enabled", proxied(ec2(), INTERNET, "").number(INTERNET, "ProxyEnable", 0), well()),
        (
            "a proxy of WinHTTP, which no SDK asks",
            ec2().with(winhttp, "WinHttpSettings", Value::Bytes(value("proxy.example:8080", "<local>"))),
            well(),
        ),
        (
            "variables with the exception",
            ec2().text(MACHINE, "HTTP_PROXY", "http://proxy.example:3128").text(MACHINE, "NO_PROXY", "169.254.169.254"),
            well(),
        ),
        ("keys of one user", with_all(ec2(), USER, &["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"]), well()),
        (
            "two stores with profiles of other names",
            ec2().file(STORE, r#"{"a": {"DisplayName": "web"}}"#).file(SHARED, "[default]\naws_access_key_id = a\n"),
            well(),
        ),
    ]
}

/// Hosts on which something is wrong.
pub(super) fn scenes() -> Vec<Scene> {
    [ways(), proxies(), credentials()].into_iter().flatten().collect()
}

fn ways() -> Vec<Scene> {
    let old = || ec2().routed(routes([10, 0, 1, 1], true)).says(ADRIFT);
    vec![
        Scene::new(
            "the routes of the subnet in which the image was made",
            old(),
            &[TIME, ROUTE],
            &[
                "problem  imds-route: the route to 169.254.169.254 goes by 10.0.1.1, which is in no subnet of this machine: it is \
                 of another subnet, or of the image\n",
                "seen    route 169.254.169.254/32 by 10.0.1.1 of Ethernet 2, persistent is taken\n",
                "seen    interface 5 (Ethernet 2): 10.0.2.15/24, gateway 10.0.2.1\n",
                "remedy  '169.254.169.254/32', '169.254.169.250/32', '169.254.169.251/32', '169.254.169.253/32', \
                 '169.254.169.123/32', '169.254.169.249/32' | ForEach-Object { Remove-NetRoute -DestinationPrefix $_ \
                 -Confirm:$false -ErrorAction SilentlyContinue; New-NetRoute -DestinationPrefix $_ -InterfaceIndex 5 -NextHop \
                 10.0.2.1 -RouteMetric 1 }\n",
                "warning  clock-route: the route to 169.254.169.123 goes by 10.0.1.1",
                "skipped  clock-w32time-sync: the Windows Time service runs and follows nobody: nobody answers it: see clock-route\n",
            ],
        )
        .around(unreached())
        .with_problem(1),
        Scene::new(
            "the same with EC2Launch v1",
            {
                let mut host = old().file(r"C:\ProgramData\Amazon\EC2-Windows\Launch\Module\Ec2Launch.psm1", "#");
                host.services.remove("Amazon EC2Launch");
                host
            },
            &[TIME, ROUTE],
            &[
                r"remedy  Import-Module C:\ProgramData\Amazon\EC2-Windows\Launch\Module\Ec2Launch.psm1; Add-Routes",
                "seen    EC2Launch v1 sets persistent routes once, which an image takes along into other subnets\n",
            ],
        )
        .around(unreached())
        .with_problem(1),
        Scene::new(
            "no route at all",
            member().routed(vec![route([10, 0, 2, 0], 24, [0, 0, 0, 0], Some(5), false)]),
            &[TIME, ROUTE],
            &["imds-route: no route leads to 169.254.169.254\n"],
        )
        .around(unreached())
        .with_problem(1),
        Scene::new(
            "an interface without DHCP takes all that is link-local",
            {
                let mut host = member();
                host.interfaces.push(interface(9, "Ethernet 3", [169, 254, 7, 7], 16, None));
                let out = route([0, 0, 0, 0], 0, [10, 0, 2, 1], Some(5), false);
                host.routed(vec![out, route([169, 254, 0, 0], 16, [0, 0, 0, 0], Some(9), false)])
            },
            &[TIME, ROUTE],
            &["the route to 169.254.169.254 ends at an interface that leads nowhere\n", "-InterfaceIndex 5 -NextHop 10.0.2.1"],
        )
        .around(unreached())
        .with_problem(1),
        Scene::new(
            "an old persistent route sleeps beside the one of this boot",
            {
                let mut host = ec2();
                host.routes.push(route([169, 254, 169, 254], 32, [10, 0, 1, 1], None, true));
                host
            },
            &[ROUTE],
            &[
                "a persistent route to 169.254.169.254 has the gateway 10.0.1.1, which is in no subnet of this machine\n",
                "seen    route 169.254.169.254/32 by 10.0.1.1, persistent is not in force\n",
                "remedy  '169.254.169.254/32' | ForEach-Object",
            ],
        ),
    ]
}

fn proxies() -> Vec<Scene> {
    let of_system = r"HKU\S-1-5-18\Software\Microsoft\Windows\CurrentVersion\Internet Settings";
    vec![
        Scene::new(
            "a proxy of the user without the exception",
            proxied(ec2(), INTERNET, "<local>;*.corp.example"),
            &[PROXY],
            &[
                "a proxy is sent requests for the metadata service: by the Internet settings of this user those of .NET, PowerShell and \
                 botocore\n",
                "seen    Internet settings (WinINET) of this user: proxy.example:3128, not for <local>;*.corp.example\n",
                r"remedy  Set-ItemProperty 'HKCU:\Software\Microsoft\Windows\CurrentVersion\Internet Settings' ProxyOverride ('169.254.169.254;' + (Get-ItemProperty 'HKCU:\Software\Microsoft\Windows\CurrentVersion\Internet Settings').ProxyOverride)",
            ],
        ),
        Scene::new(
            "a proxy of LocalSystem without exceptions",
            proxied(ec2(), of_system, ""),
            &[PROXY],
            &[
                "by the Internet settings of LocalSystem those of",
                r"remedy  Set-ItemProperty 'Registry::HKEY_USERS\S-1-5-18\Software\Microsoft\Windows\CurrentVersion\Internet Settings' ProxyOverride '169.254.169.254'",
            ],
        ),
        Scene::new(
            "a variable has botocore look no further",
            proxied(ec2(), INTERNET, "").text(USER, "NO_PROXY", "169.254.169.254"),
            &[PROXY],
            &["by the Internet settings of this user those of .NET and PowerShell\n"],
        ),
        Scene::new(
            "botocore knows one separator alone",
            proxied(ec2(), INTERNET, "<local> 169.254.169.254"),
            &[PROXY],
            &["by the Internet settings of this user those of botocore\n"],
        ),
        Scene::new(
            "variables of the machine",
            ec2().text(MACHINE, "HTTP_PROXY", &format!("http://user:{SECRET}@proxy.example:3128")),
            &[PROXY],
            &[
                "by the variables of the machine those of botocore, go-v2",
                "seen    variables of the machine: HTTP_PROXY=http://proxy.example:3128\n",
                "remedy  [Environment]::SetEnvironmentVariable('NO_PROXY', '169.254.169.254', 'Machine'), and start the services \
                 anew\n",
            ],
        ),
        Scene::new(
            "variables of the machine with other exceptions",
            ec2().text(MACHINE, "HTTP_PROXY", "proxy.example:3128").text(MACHINE, "NO_PROXY", "localhost"),
            &[PROXY],
            &["([Environment]::GetEnvironmentVariable('NO_PROXY', 'Machine') + ',169.254.169.254')"],
        ),
    ]
}

fn credentials() -> Vec<Scene> {
    let keys = ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"];
    let all = ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"];
    let environments = "credentials-environments";
    vec![
        Scene::new(
            "keys of the user with the token of the machine",
            with_all(with_all(ec2(), MACHINE, &all), USER, &keys),
            &[environments],
            &[
                "programs of this user sign with keys of two sets: AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY of the user, \
                 AWS_SESSION_TOKEN of the machine\n",
                "remedy  [Environment]::SetEnvironmentVariable('AWS_ACCESS_KEY_ID', $null, 'Machine'); ",
            ],
        )
        .with_problem(0),
        Scene::new(
            "keys of the machine and of the user",
            with_all(with_all(ec2(), MACHINE, &keys), USER, &keys),
            &[environments],
            &[
                "programs of the user sign with his, and services with those of the machine\n",
                "seen    variables of this user: AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY\n",
            ],
        ),
        Scene::new(
            "keys of the machine before the role",
            with_all(ec2(), MACHINE, &keys),
            &[environments],
            &["the variables of the machine have keys, with which every service signs\n"],
        ),
        Scene::new(
            "keys in variables beside a profile",
            with_all(ec2(), USER, &keys).file(SHARED, "[default]\naws_access_key_id = a\n"),
            &["credentials-stores"],
            &[
                "version 3 of .NET signs with the profile, and version 4 and all other SDKs with the variables\n",
                "seen    keys in the variables of the user\n",
                "remedy  where the profile is meant, [Environment]::SetEnvironmentVariable('AWS_ACCESS_KEY_ID', $null, 'User'); ",
                r"seen    shared file (%USERPROFILE%\.aws\credentials): default",
            ],
        ),
        Scene::new(
            "one profile in two stores",
            ec2()
                .file(STORE, &format!(r#"{{"a": {{"DisplayName": "default", "AWSSecretKey": "{SECRET}"}}}}"#))
                .file(SHARED, &format!("[default]\naws_secret_access_key = {SECRET}\n")),
            &["credentials-stores"],
            &[
                "in two stores: default; .NET and the AWS Tools for PowerShell take the one of the SDK Store",
                r"seen    SDK Store (%LOCALAPPDATA%\AWSToolkit\RegisteredAccounts.json): default",
                "remedy  Remove-AWSCredentialProfile -ProfileName default\n",
            ],
        ),
    ]
}
