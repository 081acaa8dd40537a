//! The tarball that `deploy/release` has made of the program under test, unpacked, and the next version of it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::container::Root;
use crate::process::{lab_dir, output};

/// Where [`put_into`] unpacks it: `present`, and `next` with another version and 80 MiB in its unit instead of 64.
pub const FOLDER: &str = "/srv";

/// Unpacks both versions of it.
///
/// # Errors
/// When `tests/run` has built none.
pub fn put_into(root: &Root) -> Result<()> {
    for name in ["present", "next"] {
        let folder = root.path(&format!("{FOLDER}/{name}"));
        fs::create_dir_all(&folder)?;
        let mut tar = Command::new("tar");
        tar.args(["--extract", "--gzip", "--strip-components=1", "--file"]).arg(built()?).arg("--directory");
        output(tar.arg(&folder))?;
    }
    let next = root.path(&format!("{FOLDER}/next"));
    fs::write(next.join("VERSION"), "99.0.0\n")?;
    let unit = next.join("systemd/skewguard.service");
    let text = fs::read_to_string(&unit)?;
    ensure!(text.contains("MemoryMax=64M"), "the unit has no MemoryMax=64M");
    Ok(fs::write(&unit, text.replace("MemoryMax=64M", "MemoryMax=80M"))?)
}

/// The tarball that was built for this architecture.
///
/// # Errors
/// When there is none.
pub fn built() -> Result<PathBuf> {
    let folder = lab_dir()?.join("dist");
    let end = format!("-linux-{}.tar.gz", std::env::consts::ARCH);
    let is_it = |path: &PathBuf| path.to_str().is_some_and(|path| path.ends_with(&end));
    let files = fs::read_dir(&folder).map(|files| files.flatten().map(|file| file.path()).find(is_it));
    files
        .ok()
        .flatten()
        .with_context(|| format!("no tarball is in {}: tests/run packs what was built", folder.display()))
}

/// Its files: paths below its one folder.
///
/// # Errors
/// When it cannot be read.
pub fn listed(tarball: &Path) -> Result<Vec<String>> {
    let listed = output(Command::new("tar").args(["--list", "--gzip", "--file"]).arg(tarball))?;
    Ok(listed.lines().filter_map(|line| Some(line.split_once('/')?.1.to_owned())).collect())
}
