//! Windows as far as Wine is one: a prefix of its own for each test, in the workshop and without a network, where packages for
//! Windows Installer are made, installed and looked at.

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use tempfile::TempDir;

use crate::agent::Answer;
use crate::dialogue::Dialogue;
use crate::net::{Net, Side};
use crate::process::{lab_dir, output, private_dir};
use crate::repositories::workshop;

/// Makes the prefix that all others are layers of, once. Wine waits for its own programs to end.
const TEMPLATE: &str = r#"
mkdir -p "$1"
exec 9>"$1/lock"
flock 9
[ ! -e "$1/made" ] || exit 0
rm -rf "$1/template"
HOME=$1 WINEPREFIX=$1/template wineboot --init && HOME=$1 WINEPREFIX=$1/template wineserver --wait
touch "$1/made"
"#;
/// A layer on it, of which nothing is left running.
const BEGIN: &str = r#"
export HOME=$2 WINEPREFIX=$2/prefix WINEDEBUG=-all WINEDLLOVERRIDES=mscoree,mshtml=
mount -t overlay overlay -o "lowerdir=$1/template,upperdir=$2/upper,workdir=$2/work" "$WINEPREFIX"
cd "$2"
"#;
const END: &str = r#"
wineserver --kill
wineserver --wait
exit "$code"
"#;
/// Runs a script in it: nobody outside can be asked.
const SESSION: &str = r#"
code=0
unshare --net sh -c 'ip link set lo up && exec sh "$1"' sh "$2/script" || code=$?
"#;
/// The same for commands that come one by one: each on a line, answered by its exit code; what it has said is in two files.
const TALK: &str = r#"
code=0
# Services end with the last program that is none.
wine cmd /c pause 0<>"$2/held" >/dev/null 2>&1 &
while IFS= read -r command; do
    code=0
    sh -c "$command" </dev/null >"$2/stdout" 2>"$2/stderr" || code=$?
    echo "$code"
done
"#;
/// What `deploy/release` does to make a package, of another version.
const MAKE: &str = r#"
set -Eeuo pipefail
here=$PWD work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
die() { echo "$*" >&2; exit 1; }
. deploy/artefacts/commands.sh
. deploy/artefacts/windows.sh
make_msi "$@"
"#;
/// Compiles the stand-in, with a version that Windows reads.
const STAND_IN: &str = r#"
set -Eeuo pipefail
. deploy/artefacts/windows.sh
make_version_resource "$1" "$2.o"
"$(mingw_gcc)" -Os -s -o "$2" tests/src/wine/stand_in.c "$2.o"
rm "$2.o"
"#;

/// A disk `C:` with a registry.
pub struct Wine {
    dir: TempDir,
}

impl Wine {
    /// A Windows on which nothing was installed.
    ///
    /// # Errors
    /// When there is no workshop, or no Wine in it.
    pub fn new() -> Result<Self> {
        let dir = private_dir()?;
        for name in ["upper", "work", "prefix"] {
            fs::create_dir(dir.path().join(name))?;
        }
        let mut make = workshop()?;
        make.env("WINEDEBUG", "-all").env("WINEDLLOVERRIDES", "mscoree,mshtml=");
        output(make.args(["sh", "-ec", TEMPLATE, "sh"]).arg(folder()?)).context("failed to start Wine")?;
        Ok(Self { dir })
    }

    /// Runs a script of sh, in which `wine` is Windows.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn run(&self, script: &str) -> Result<Answer> {
        fs::write(self.dir.path().join("script"), script)?;
        let mut session = workshop()?;
        let output = session
            .args(["sh", "-ec", &[BEGIN, SESSION, END].concat(), "sh"])
            .arg(folder()?)
            .arg(self.dir.path())
            .output()?;
        Ok(Answer {
            code: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        })
    }

    /// Begins a session on the agent's host of a lab, in which programs go on while others are started.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn on_host(&self, net: &Net) -> Result<Session> {
        output(Command::new("mkfifo").arg(self.dir.path().join("held")))?;
        let project = Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("the tests have a folder")?;
        let mut command = net.command(Side::Agent, project.join("tests/workshop"))?;
        command.current_dir(project).env("SKEWGUARD_LAB", lab_dir()?);
        command.args(["sh", "-ec", &[BEGIN, TALK, END].concat(), "sh"]).arg(folder()?).arg(self.dir.path());
        Ok(Session { dialogue: Dialogue::start(&mut command)?, dir: self.dir.path().to_owned() })
    }

    /// Runs `msiexec` without a word, and returns whether it has succeeded and what it has noted. On failure its exit code is
    /// cut to a byte.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn msiexec(&self, arguments: &str) -> Result<(bool, String)> {
        let answer = self.run(&format!("wine msiexec {arguments} /qn /l*v 'C:\\log' && exit\nexit 1"))?;
        let log = fs::read(self.path("log")).unwrap_or_default();
        Ok((answer.code == Some(0), String::from_utf8_lossy(&log).into_owned()))
    }

    /// The folder that holds all of it, which Windows has on `Z:`.
    pub fn folder(&self) -> &Path {
        self.dir.path()
    }

    /// Where a file of `C:` lies that was not there from the beginning, such as `Program Files/skewguard`.
    pub fn path(&self, inside: &str) -> PathBuf {
        self.dir.path().join("upper/drive_c").join(inside)
    }

    /// The names below a folder of `C:`, none if there is none.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn names(&self, folder: &str) -> Result<Vec<String>> {
        let mut names = Vec::new();
        let Ok(entries) = fs::read_dir(self.path(folder)) else { return Ok(names) };
        for entry in entries {
            names.push(entry?.file_name().to_string_lossy().into_owned());
        }
        names.sort();
        Ok(names)
    }

    /// The values of a key below `HKEY_LOCAL_MACHINE`, as Wine writes them down. What services are is in `ControlSet001` there.
    ///
    /// # Errors
    /// When there is no registry, because nothing has run yet.
    pub fn registry(&self, key: &str) -> Result<Option<BTreeMap<String, String>>> {
        let text = fs::read(self.dir.path().join("upper/system.reg")).context("nothing has run")?;
        Ok(values(&String::from_utf8_lossy(&text), key))
    }
}

/// A Windows that is up.
pub struct Session {
    dialogue: Dialogue,
    dir: PathBuf,
}

impl Session {
    /// Runs a line of sh, in which `wine` is Windows.
    ///
    /// # Errors
    /// When the session has ended.
    pub fn run(&mut self, line: &str) -> Result<Answer> {
        let code = self.dialogue.ask(line)?;
        let said =
            |name: &str| Ok::<_, io::Error>(String::from_utf8_lossy(&fs::read(self.dir.join(name))?).into_owned());
        Ok(Answer { code: code.parse().ok(), stdout: said("stdout")?, stderr: said("stderr")? })
    }
}

/// A program that was built for Windows by `tests/run`: `unit-tests.exe`, or `skewguard.exe`, which is that of the release
/// unless `SKEWGUARD_WINDOWS_BIN` names another one.
///
/// # Errors
/// When it is not there.
pub fn program(name: &str) -> Result<PathBuf> {
    let other = env::var_os("SKEWGUARD_WINDOWS_BIN").filter(|_| name == "skewguard.exe").map(PathBuf::from);
    let path = other.map_or_else(|| Ok::<_, anyhow::Error>(lab_dir()?.join("windows").join(name)), Ok)?;
    fs::canonicalize(&path).with_context(|| format!("{} is missing: tests/run makes it", path.display()))
}

/// Where the lab keeps its Wine.
fn folder() -> Result<PathBuf> {
    Ok(fs::canonicalize(lab_dir()?)?.join("wine"))
}

/// The values of one key of a registry as Wine writes it: a head in brackets, and a line each.
fn values(registry: &str, key: &str) -> Option<BTreeMap<String, String>> {
    let head = format!("[{}]", key.replace('\\', "\\\\")).to_lowercase();
    let section =
        registry.split("\n\n").find(|section| section.trim_start().to_lowercase().starts_with(&format!("{head} ")))?;
    let lines = section.lines().filter_map(|line| line.strip_prefix('"')?.split_once("\"="));
    let plain = |text: &str| text.trim_matches('"').replace("\\\\", "\\").replace("\\\"", "\"");
    Some(lines.map(|(name, value)| (plain(name), plain(value))).collect())
}

/// Makes a package for Windows Installer of a folder that has what the zip of a release has.
///
/// # Errors
/// When that fails.
pub fn make_msi(stage: &Path, version: &str, date: &str, file: &Path) -> Result<()> {
    let mut make = workshop()?;
    make.env("SOURCE_DATE_EPOCH", date).args(["bash", "-c", MAKE, "bash"]).arg(stage).arg(version).arg(file);
    output(&mut make)?;
    Ok(())
}

/// Puts the stand-in into the place of a program.
///
/// # Errors
/// When it cannot be compiled.
pub fn make_stand_in(version: &str, file: &Path) -> Result<()> {
    output(workshop()?.args(["bash", "-c", STAND_IN, "bash", version]).arg(file))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_values_of_a_key_are_those_below_its_head() {
        let text = "WINE REGISTRY Version 2\n\n[Software\\\\A] 17\n#time=1\n\"Name\"=\"C:\\\\x y\\\\z.exe run\"\n\
                    \"Start\"=dword:00000002\n\n[Software\\\\A\\\\B] 17\n#time=1\n\"Name\"=\"other\"\n";
        let found = values(text, r"software\a").unwrap();
        assert_eq!(found["Name"], r"C:\x y\z.exe run");
        assert_eq!(found["Start"], "dword:00000002");
        assert_eq!(values(text, r"Software\C"), None);
    }
}
