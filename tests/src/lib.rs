//! The lab: real time and credential servers in network namespaces that own Amazon's link-local addresses.
//!
//! - [`net`]: two joined namespaces, the agent's host and AWS.
//! - [`chrony`], [`ntpsec`]: real NTP servers; chronyd serves whatever time a test chooses.
//! - [`moto`]: a real instance metadata service; [`metadata`]: a scripted one that is in order.
//! - [`victoria`]: a real OTLP backend; [`receiver`]: one that refuses whatever is not as it should be, and a webhook.
//! - [`vmalert`]: a real judge of rules; [`vmagent`], [`rotel`]: real collectors; [`exported`]: what hosts export that there
//!   are not.
//! - [`alertmanager`], [`s3`]: a real target of a channel, and a server that refuses wrong signatures.
//! - [`botocore`]: programs on a real SDK, which hold a role's credentials and sign; [`dialogue`]: how a test asks them.
//! - [`targets`]: strict scripted targets of channels, for those services that no lab can have.
//! - [`tls`]: authorities, certificates, and an HTTPS server that judges by none of the agent's clocks.
//! - [`ntp`], [`http`]: servers that a test scripts, for all the faults that no real server can be made to have.
//! - [`hostile`]: what a stranger can hand to the agent, for fuzzers and for all other tests.
//! - [`agent`]: the program under test; [`vm`]: a guest in QEMU with the same, whose clock can be set, on
//!   a [`kernel`] of any release; [`qmp`]: what its hypervisor does to it; [`udev`]: its devices.
//! - [`container`]: Debian with its systemd, where [`packages`], [`rpms`] and a [`tarball`] are installed; [`host`]: one in
//!   the lab's AWS, and what is asked of it. [`elf`]: what a program says of itself.
//! - [`fleet`]: what `deploy` has for fleets, and a server with a release.
//! - [`wine`]: Windows, as far as Wine is one.
//! - [`repositories`]: what `deploy/sign` makes of these packages, and a server of it.
//! - [`memory`]: the search for secrets in a process; [`wire`]: packets, counted.
//! - [`browser`]: what draws dashboards.
//! - [`observability`]: rules and all else by which a fleet is seen, written once for every backend.
//! - [`process`], [`wait`]: finding, starting, stopping and awaiting all of these.
//!
//! No program that the lab starts can set the machine's clock: each runs without `CAP_SYS_TIME`. A guest has a clock of
//! its own.

#![expect(clippy::disallowed_methods, reason = "the lab is the yardstick: it reads the machine's clocks itself")]

pub mod agent;
pub mod alertmanager;
pub mod botocore;
pub mod browser;
pub mod chart;
pub mod chrony;
pub mod container;
mod cpio;
pub mod dialogue;
pub mod elf;
pub mod exported;
pub mod fleet;
pub mod host;
pub mod hostile;
pub mod http;
pub mod kernel;
pub mod manager;
pub mod memory;
pub mod metadata;
pub mod moto;
pub mod net;
pub mod ntp;
pub mod ntpsec;
pub mod observability;
pub mod packages;
pub mod podman;
pub mod process;
pub mod prometheus;
pub mod qmp;
pub mod receiver;
pub mod repositories;
pub mod rotel;
pub mod rpms;
pub mod s3;
pub mod sdks;
pub mod sts;
pub mod tarball;
pub mod targets;
pub mod tls;
pub mod udev;
pub mod victoria;
pub mod vm;
pub mod vmagent;
pub mod vmalert;
pub mod wait;
pub mod watch;
pub mod web;
pub mod wine;
pub mod wire;

#[cfg(test)]
mod manifest {
    use std::fs;
    use std::path::Path;

    #[test]
    fn no_test_of_the_lab_is_run_where_there_is_no_lab() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
        let manifest = fs::read_to_string(folder.join("Cargo.toml")).unwrap();
        let files = fs::read_dir(folder.join("tests")).unwrap().map(|entry| entry.unwrap().file_name());
        let names: Vec<String> =
            files.filter_map(|name| Some(name.to_str()?.strip_suffix(".rs")?.to_owned())).collect();
        let is_held_back = |name: &&String| {
            manifest.contains(&format!("[[test]]\nname = \"{name}\"\nrequired-features = [\"lab\"]\n"))
        };
        let lab: Vec<_> = names.iter().filter(|name| name.starts_with("lab_")).collect();
        assert!(lab.len() > 10, "{names:?}");
        assert_eq!(lab.iter().copied().filter(|name| !is_held_back(name)).collect::<Vec<_>>(), Vec::<&String>::new());
    }
}
