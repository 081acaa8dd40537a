//! The static programs of a release, as they lie in its packages: what they need, what they tell of themselves, and that
//! the one for the other architecture measures as this one does.

#![expect(clippy::unwrap_used, reason = "clippy takes what tests share for production code")]

use std::collections::BTreeMap;
use std::env::consts::ARCH;
use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;
use tests::agent::Skewguard;
use tests::elf::Program;
use tests::metadata;
use tests::net::{IMDS, Net, Side, TIME_SYNC};
use tests::ntp::{self, NtpServer, ahead_by};
use tests::packages;
use tests::process::{lab_dir, private_dir};

/// All that a release is made for.
const ARCHITECTURES: [(&str, &str); 2] = [("x86_64", "amd64"), ("aarch64", "arm64")];
/// A measurement in an emulated processor on a busy machine, in seconds.
const NEAR: f64 = 0.25;
const PATIENCE: Duration = Duration::from_secs(30);

/// The programs, by architecture, out of the packages.
struct Programs {
    dir: TempDir,
}

impl Programs {
    fn unpacked() -> Self {
        let programs = Self { dir: private_dir().unwrap() };
        for (arch, debian) in ARCHITECTURES {
            packages::program(&packages::built_for(debian).unwrap(), &programs.dir.path().join(arch)).unwrap();
        }
        programs
    }

    fn path(&self, arch: &str) -> PathBuf {
        self.dir.path().join(arch).join("usr/bin/skewguard")
    }

    fn read(&self, arch: &str) -> Program {
        Program::read(&self.path(arch)).unwrap()
    }

    /// How one is run on this machine.
    fn command(&self, arch: &str) -> Vec<PathBuf> {
        let emulator = lab_dir().unwrap().join(format!("roots/workshop/usr/bin/qemu-{arch}-static"));
        (arch != ARCH).then_some(emulator).into_iter().chain([self.path(arch)]).collect()
    }
}

#[test]
fn they_need_nothing_of_the_host_and_are_loaded_anywhere() {
    let programs = Programs::unpacked();
    for (arch, _) in ARCHITECTURES {
        let program = programs.read(arch);
        assert_eq!(program.architecture().unwrap(), arch);
        assert_eq!(program.needs().unwrap(), Vec::<String>::new(), "{arch}");
        assert!(program.is_relocatable().unwrap(), "{arch}");
    }
    // The program of all other tests is no static one: what looks for needs would find them.
    let dynamic = Program::read(Path::new(&std::env::var_os("SKEWGUARD_BIN").unwrap())).unwrap();
    assert!(dynamic.needs().unwrap().len() > 1);
}

#[test]
fn they_tell_of_what_they_are_made_as_it_stands_in_the_lock_file() {
    let lock = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../Cargo.lock")).unwrap();
    let programs = Programs::unpacked();
    for (arch, _) in ARCHITECTURES {
        let told = programs.read(arch).dependencies().unwrap();
        let packages: BTreeMap<_, _> = told["packages"]
            .as_array()
            .unwrap()
            .iter()
            .map(|package| (package["name"].as_str().unwrap(), package["version"].as_str().unwrap()))
            .collect();
        for name in ["skewguard", "ring", "rustls", "tokio"] {
            assert!(packages.contains_key(name), "{arch}: {packages:?}");
        }
        for (name, version) in packages {
            assert!(
                lock.contains(&format!("name = \"{name}\"\nversion = \"{version}\"\n")),
                "{arch}: {name} {version}"
            );
        }
    }
}

#[test]
fn they_know_nothing_of_the_machine_that_built_them() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let home = std::env::var("HOME").unwrap();
    let cargo = std::env::var("CARGO_HOME").unwrap_or_else(|_| format!("{home}/.cargo"));
    let programs = Programs::unpacked();
    for (arch, _) in ARCHITECTURES {
        let bytes = programs.read(arch).bytes;
        for place in [here.to_str().unwrap(), &cargo, &format!("{home}/.rustup"), "/usr/src/", "/usr/lib/rustlib"] {
            let found = bytes.windows(place.len()).position(|window| window == place.as_bytes());
            let text = found.map(|at| String::from_utf8_lossy(&bytes[at..(at + 120).min(bytes.len())]).into_owned());
            assert_eq!(text, None, "{arch}");
        }
        // What is there instead: a panic says where it was.
        assert!(bytes.windows(7).any(|window| window == b"/cargo/"), "{arch}");
    }
}

#[test]
fn each_measures_what_the_server_tells_also_on_an_emulated_processor() {
    let programs = Programs::unpacked();
    let net = Net::new().unwrap();
    // Far from zero, and from the time of AWS's limits.
    let ahead = 1.0 + fastrand::f64() * 20.0;
    let _time = NtpServer::start(&net, Side::Aws, SocketAddr::new(TIME_SYNC, ntp::PORT), ahead_by(ahead)).unwrap();
    let metadata = metadata::start(&net, Side::Aws, SocketAddr::new(IMDS, 80), &metadata::valid_document()).unwrap();
    for (arch, _) in ARCHITECTURES {
        let asked = metadata.count("PUT /latest/api/token");
        let agent = Skewguard::new(&net, "").unwrap().made_of(programs.command(arch));
        let answer = agent.check().unwrap();
        let told = answer.json().unwrap();
        let clock = &told["clock"];
        let number = |name: &str| clock[name].as_f64().unwrap_or_else(|| panic!("{arch}: no {name}: {answer:?}"));
        println!("{arch}: {} ± {}, and {ahead} is true", number("offset_seconds"), number("error_bound_seconds"));
        let error = (number("offset_seconds") - ahead).abs();
        assert!(error < NEAR && error <= number("error_bound_seconds"), "{arch}: {error}: {answer:?}");
        assert!(metadata.count("PUT /latest/api/token") > asked, "{arch}");
        assert_ne!(told["credentials"], Value::Null, "{arch}: {told}");
    }
}

#[test]
fn everybody_may_ask_it_on_its_socket() {
    let programs = Programs::unpacked();
    let net = Net::new().unwrap();
    let agent = Skewguard::new(&net, "").unwrap().made_of(programs.command(ARCH));
    let mut running = agent.run().unwrap();
    running.await_status("a status", PATIENCE, Value::is_object).unwrap();
    let mode = fs::metadata(agent.dir().join("skewguard.sock")).unwrap().mode() & 0o777;
    assert_eq!(mode, 0o666, "{}", running.log());
}
