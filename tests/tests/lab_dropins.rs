//! The drop-ins that all packages bring as examples, put to use on a host that has the Debian package.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "clippy takes what tests share for production code")]

use std::net::SocketAddr;

use serde_json::Value;
use tests::container::{Release, Root};
use tests::host::{Host, PATIENCE, STATE, UNIT};
use tests::http::{HttpServer, Reply};
use tests::net::{IMDS, Side};
use tests::packages::{FOLDER, Packages};
use tests::wait::wait_for;

const EXAMPLES: &str = "/usr/share/doc/skewguard/examples/systemd";
const DROPINS: &str = "/etc/systemd/system/skewguard.service.d";
const CONFIG: &str = "/etc/skewguard/skewguard.yaml";

/// Puts a drop-in to use as an administrator does, and lets systemd judge it.
fn use_dropin(host: &Host, name: &str) {
    host.run(&format!("mkdir -p {DROPINS} && cp {EXAMPLES}/{name} {DROPINS}/ && systemctl daemon-reload"));
    let judged = host.container.run(&format!("systemd-analyze verify --man=no {UNIT}")).unwrap();
    let said: Vec<_> =
        judged.stdout.lines().chain(judged.stderr.lines()).filter(|line| line.contains("skewguard")).collect();
    assert_eq!((judged.code, said.as_slice()), (Some(0), [""; 0].as_slice()), "{name}");
    restart(host);
}

fn restart(host: &Host) {
    host.run(&format!("systemctl restart {UNIT}"));
    host.container.await_state(UNIT, "active", PATIENCE).unwrap();
}

/// Boots a host without the package, for what user data may do before it comes.
fn boot(release: Release, offset: f64) -> Host {
    let root = Root::new(release).unwrap();
    Packages::new().unwrap().put_into(&root).unwrap();
    Host::boot(root, offset).unwrap()
}

fn install(host: &Host) {
    host.run(&format!("dpkg --install {FOLDER}/present.deb"));
}

/// The state of the profile `night` as the service sees it, once it has looked.
fn profile(host: &Host) -> Option<String> {
    let status = host.status();
    let credentials = status["credentials"].as_array().unwrap().clone();
    let night = credentials.iter().find(|credential| credential["identity"].as_str().unwrap().contains("night"))?;
    Some(night["state"].as_str().unwrap().to_owned())
}

#[test]
fn a_user_of_its_own_keeps_the_state_and_with_the_homes_shown_their_folders_are_watched() {
    for release in Release::ALL {
        let host = boot(release, 0.0);
        install(&host);
        host.status();
        let mark = host.run(&format!("cat {STATE}/host"));
        let expiration = host.run("date --utc --date='6 hours' +%Y-%m-%dT%H:%M:%SZ");
        let file =
            format!("[night]\naws_access_key_id = a\naws_secret_access_key = b\naws_expiration = {expiration}\n");
        host.root().write("/home/app/.aws/credentials", &file).unwrap();
        host.root().write(CONFIG, "credentials: { homes: [/home/app] }\n").unwrap();

        // As the comment of the drop-in says it.
        let text = host.run(&format!("cat {EXAMPLES}/static-user.conf"));
        host.run(text.lines().find_map(|line| line.strip_prefix("# Before: ")).unwrap());
        host.run("chgrp -R skewguard /home/app && chmod -R u=rwX,g=rX,o= /home/app");
        use_dropin(&host, "static-user.conf");
        assert_eq!(host.user().to_string(), host.run("id -u skewguard"));
        host.status();
        assert_eq!(host.run("cat /var/lib/skewguard/host"), mark, "the state is another one");
        assert_eq!(host.run("stat --dereference --format='%U %a' /var/lib/skewguard"), "skewguard 700");
        assert_eq!(profile(&host), None, "a home is seen that is hidden");

        use_dropin(&host, "homes.conf");
        let valid = wait_for("the profile", PATIENCE, || profile(&host).filter(|state| state == "valid"));
        let seen = || host.run("ls -lR /home/app; skewguard status || true");
        valid.map_err(|error| format!("{}: {error}: {}", release.name(), seen())).unwrap();
    }
}

#[test]
fn with_its_drop_in_the_service_may_open_clocks_of_hardware_and_no_other_device() {
    for release in Release::ALL {
        let host = boot(release, 0.0);
        install(&host);
        use_dropin(&host, "devices.conf");
        host.status();
        let properties = ["PrivateDevices", "DevicePolicy", "DeviceAllow"].map(|name| format!("--property={name}"));
        let shown = host.run(&format!("systemctl show {} {UNIT}", properties.join(" ")));
        for line in ["PrivateDevices=no", "DevicePolicy=closed", "DeviceAllow=char-ptp r"] {
            assert!(shown.lines().any(|shown| shown == line), "{}: {shown}", release.name());
        }
        let rules = "/usr/share/doc/skewguard/examples/udev/70-skewguard.rules";
        assert!(host.run(&format!("cat {rules}")).contains("ena-ptp-*"));
    }
}

#[test]
fn a_secret_that_only_root_can_read_is_handed_to_the_service() {
    // From 247 on, which Debian 11 has.
    for release in Release::ALL {
        let host = boot(release, 400.0);
        let receiver = HttpServer::start(host.net(), Side::Aws, SocketAddr::new(IMDS, 8099)).unwrap();
        receiver.on("POST /hook", Reply::ok(""));
        let secret: String = std::iter::repeat_with(fastrand::alphanumeric).take(24).collect();
        host.root().write("/etc/skewguard/webhook", &secret).unwrap();
        host.run("chmod 600 /etc/skewguard/webhook");
        let text = include_str!("../../deploy/systemd/examples/secret.conf");
        let reference = text.split_whitespace().find(|word| word.starts_with("file:/")).unwrap();
        let config = format!(
            "channels:\n  - name: ops\n    webhook:\n      url: http://{}/hook\n      headers:\n        Authorization: {reference}\n",
            receiver.address()
        );
        host.root().write(CONFIG, &config).unwrap();

        // The channel is there from the first alert on: a restart tells what fires to nobody again.
        install(&host);
        let refused = || {
            let status: Value = host.container.run("skewguard status --format json").unwrap().json().ok()?;
            let error = status["delivery"].as_array()?.iter().find_map(|delivery| delivery["error"].as_str())?;
            Some(error.to_owned())
        };
        let error = wait_for("a delivery that fails", PATIENCE, refused).unwrap();
        assert!(error.contains("/run/credentials/skewguard.service/webhook"), "{error}");
        assert_eq!(receiver.count("POST /hook"), 0);

        use_dropin(&host, "secret.conf");
        let sent = wait_for("an alert", PATIENCE, || receiver.requests().into_iter().next());
        let sent = sent.map_err(|error| format!("{}: {error}: {}", release.name(), host.journal())).unwrap();
        assert_eq!(sent.headers.get("authorization"), Some(&secret));
        assert!(!host.journal().contains(&secret));
    }
}
