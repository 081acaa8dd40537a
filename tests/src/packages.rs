//! The Debian package that `deploy/release` has made of the program under test, and the next version of it.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use tempfile::TempDir;

use crate::container::Root;
use crate::process::{lab_dir, output, private_dir};

/// Where [`Packages::put_into`] puts them: `present.deb` and `next.deb`.
pub const FOLDER: &str = "/mnt";

/// The package that was built, and the next version of it, whose unit has another default: 80 MiB instead of 64.
pub struct Packages {
    present: PathBuf,
    next: PathBuf,
    _dir: TempDir,
}

impl Packages {
    /// Finds the one and makes the other.
    ///
    /// # Errors
    /// When `tests/run` has built none.
    pub fn new() -> Result<Self> {
        let (present, dir) = (built()?, private_dir()?);
        let (tree, next) = (dir.path().join("tree"), dir.path().join("next.deb"));
        output(Command::new("dpkg-deb").arg("--raw-extract").arg(&present).arg(&tree))?;
        replace(&tree.join("DEBIAN/control"), "Version: ", "Version: 99.")?;
        replace(&tree.join("usr/lib/systemd/system/skewguard.service"), "MemoryMax=64M", "MemoryMax=80M")?;
        output(Command::new("dpkg-deb").args(["--root-owner-group", "-Zgzip", "--build"]).arg(&tree).arg(&next))?;
        Ok(Self { present, next, _dir: dir })
    }

    /// Puts both where they can be installed.
    ///
    /// # Errors
    /// When that fails.
    pub fn put_into(&self, root: &Root) -> Result<()> {
        root.copy_in(&self.present, &format!("{FOLDER}/present.deb"))?;
        root.copy_in(&self.next, &format!("{FOLDER}/next.deb"))
    }
}

fn replace(file: &Path, from: &str, to: &str) -> Result<()> {
    let text = fs::read_to_string(file)?;
    ensure!(text.matches(from).count() == 1, "{} has not one {from}", file.display());
    Ok(fs::write(file, text.replace(from, to))?)
}

/// The package that was built, for this architecture.
///
/// # Errors
/// When there is none, or more than one.
pub fn built() -> Result<PathBuf> {
    built_for(output(Command::new("dpkg").arg("--print-architecture"))?.trim())
}

/// The package that was built for an architecture, as Debian names it.
///
/// # Errors
/// When there is none, or more than one.
pub fn built_for(architecture: &str) -> Result<PathBuf> {
    let folder = lab_dir()?.join("dist");
    let missing = || format!("{} is missing: tests/run packs what was built", folder.display());
    let own = format!("_{architecture}.deb");
    let mut found = Vec::new();
    for file in fs::read_dir(&folder).with_context(missing)? {
        let path = file?.path();
        let is_it = |name: &str| name.starts_with("skewguard_") && name.ends_with(&own);
        if path.file_name().and_then(OsStr::to_str).is_some_and(is_it) {
            found.push(path);
        }
    }
    ensure!(found.len() == 1, "there is not one package: {found:?}");
    found.pop().with_context(missing)
}

/// Unpacks a package into `folder`, and returns the program that is in it: static, and as it is shipped.
///
/// # Errors
/// When it cannot be unpacked.
pub fn program(package: &Path, folder: &Path) -> Result<PathBuf> {
    output(Command::new("dpkg-deb").arg("--extract").arg(package).arg(folder))?;
    Ok(folder.join("usr/bin/skewguard"))
}

/// The offset in the line that an installation ends with, in seconds: positive where the clock is slow.
///
/// # Errors
/// When it tells none.
pub fn told_offset(line: &str) -> Result<f64> {
    let told = || format!("no offset: {line}");
    let mut words = line.strip_prefix("clock ").with_context(told)?.split([' ', ',']);
    let value: f64 = words.next().with_context(told)?.parse().with_context(told)?;
    match (words.next(), words.next()) {
        (Some("s"), Some("slow")) => Ok(value),
        (Some("ms"), Some("slow")) => Ok(value * 1e-3),
        (Some("µs"), Some("slow")) => Ok(value * 1e-6),
        (Some("s"), Some("fast")) => Ok(-value),
        (Some("ms"), Some("fast")) => Ok(-value * 1e-3),
        (Some("µs"), Some("fast")) => Ok(-value * 1e-6),
        _ => bail!(told()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_of_an_installation_tells_which_way_the_clock_is_wrong() {
        let told = |line| told_offset(line).ok();
        assert_eq!(told("clock 500 ms slow, credentials ok"), Some(0.5));
        assert_eq!(told("clock 2 s fast, no credentials found"), Some(-2.0));
        assert_eq!((told("clock 2 h fast, credentials ok"), told("critical clock-skew")), (None, None));
    }
}
