//! The rpm that `deploy/release` has made of the program under test, and the next version of it.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use tempfile::TempDir;

use crate::agent::Answer;
use crate::container::{Release, Root};
use crate::process::{lab_dir, private_dir};

/// Where [`Rpms::root`] puts them: `present.rpm` and `next.rpm`.
pub const FOLDER: &str = "/mnt";

/// Writes the specification of the next version, with the files and the scripts of the present one. A `%` would be a macro.
const SPECIFY: &str = r#"set -e
cd /mnt
rpm2archive - <present.rpm | tar --extract --gzip --directory /srv
sed -i s/MemoryMax=64M/MemoryMax=80M/ /srv/usr/lib/systemd/system/skewguard.service
grep -q MemoryMax=80M /srv/usr/lib/systemd/system/skewguard.service
ask() { rpm --query --queryformat "$1" --package present.rpm; }
script() { printf '\n%%%s\n' "$1"; ask "%{$2}" | sed s/%/%%/g; }
{
    ask 'Name: %{NAME}\nVersion: 99.%{VERSION}\nRelease: %{RELEASE}\nSummary: %{SUMMARY}\nLicense: %{LICENSE}\n'
    echo 'BuildArch: x86_64'
    printf '\n%%description\nThe next one.\n'
    script post POSTIN
    script preun PREUN
    script postun POSTUN
    printf '\n%%files\n'
    ask '[%{FILEMODES:perms} %{FILENAMES}\n]' | sed 's/^d[^ ]* /%dir /; s/^-[^ ]* //'
} >next.spec
rpmbuild --quiet -bb --buildroot /srv --define '_rpmdir /mnt' --define '_build_name_fmt next.rpm' \
    --define '_binary_payload w1.gzdio' --define '__os_install_post %{nil}' --define 'debug_package %{nil}' \
    --define '_build_id_links none' --define '__spec_clean_pre true' --noclean next.spec
test -s next.rpm"#;

/// The package that was built, and the next version of it, whose unit has another default: 80 MiB instead of 64.
pub struct Rpms {
    present: PathBuf,
    next: PathBuf,
    _dir: TempDir,
}

impl Rpms {
    /// Finds the one and makes the other.
    ///
    /// # Errors
    /// When `tests/run` has built none.
    pub fn new() -> Result<Self> {
        let (present, dir) = (built()?, private_dir()?);
        let next = dir.path().join("next.rpm");
        let root = Root::new(Release::Workshop)?;
        root.copy_in(&present, &format!("{FOLDER}/present.rpm"))?;
        root.run(SPECIFY).and_then(Answer::succeeded)?;
        fs::copy(root.path(&format!("{FOLDER}/next.rpm")), &next)?;
        Ok(Self { present, next, _dir: dir })
    }

    /// Puts both where they can be installed.
    ///
    /// # Errors
    /// When that fails.
    pub fn put_into(&self, root: &Root) -> Result<()> {
        root.copy_in(&self.present, &format!("{FOLDER}/present.rpm"))?;
        root.copy_in(&self.next, &format!("{FOLDER}/next.rpm"))
    }

    /// A root with rpm and with both packages in it, none of which is installed, that boots with nothing of a workshop.
    ///
    /// # Errors
    /// When `tests/run` has made no workshop.
    pub fn root(&self) -> Result<Root> {
        let root = Root::new(Release::Workshop)?;
        self.put_into(&root)?;
        root.write("/etc/cloud/cloud-init.disabled", "")?;
        // Folders that the package `filesystem` has where rpm is at home.
        root.run("mkdir -p /usr/share/licenses /usr/share/zsh/site-functions").and_then(Answer::succeeded)?;
        root.run("systemctl --quiet disable docker-registry netavark-dhcp-proxy.socket").and_then(Answer::succeeded)?;
        Ok(root)
    }
}

/// The rpm that was built for this architecture.
///
/// # Errors
/// When there is none, or more than one.
pub fn built() -> Result<PathBuf> {
    let folder = lab_dir()?.join("dist");
    let missing = || format!("{} is missing: tests/run packs what was built", folder.display());
    let end = format!(".{}.rpm", std::env::consts::ARCH);
    let mut found = Vec::new();
    for file in fs::read_dir(&folder).with_context(missing)? {
        let path = file?.path();
        if path.to_str().is_some_and(|path| path.ends_with(&end)) {
            found.push(path);
        }
    }
    ensure!(found.len() == 1, "there is not one rpm: {found:?}");
    found.pop().with_context(missing)
}
