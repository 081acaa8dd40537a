//! botocore in the packages that an interpreter of Python looks through.

use std::io::Read;
use std::path::{Path, PathBuf};

use super::environment::Hints;
use super::layout::{Layout, with_slashes};
use super::library::{Found, Library};
use super::text::printable;
use super::view::View;
use crate::aws::sdk::Sdk;

/// More versions of Python are not looked for below one prefix.
const MOST_VERSIONS: usize = 64;
/// A larger `pyvenv.cfg` is none.
const LARGEST_SETTINGS: u64 = 64 * 1024;

/// What is known of a process that runs Python.
pub struct Interpreter<'a> {
    /// Its arguments.
    pub arguments: &'a [&'a str],
    /// Where its executable is.
    pub executable: Option<&'a Path>,
    /// Its working directory.
    pub working_directory: Option<&'a Path>,
    /// What its environment says.
    pub hints: &'a Hints,
    /// The files that it has mapped.
    pub files: &'a [PathBuf],
}

impl<'a> Interpreter<'a> {
    fn script(&self) -> Option<&'a str> {
        self.arguments.iter().skip(1).find(|argument| !argument.starts_with('-')).copied()
    }
}

/// Whether a program of this name is an interpreter.
pub fn is_interpreter(name: &str) -> bool {
    ["python", "pypy"].iter().any(|begin| {
        name.strip_prefix(begin).is_some_and(|rest| rest.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.'))
    })
}

/// botocore, where it can be imported.
pub fn find(view: &View, interpreter: &Interpreter<'_>) -> Option<Found> {
    let packages = packages(view, interpreter);
    // Distributions ship version 2 of the AWS CLI with a botocore of its own, which only it uses.
    let is_cli = interpreter.script().is_some_and(|script| match view.layout() {
        Layout::Unix => Path::new(script).file_name().is_some_and(|name| name == "aws"),
        Layout::Windows => Layout::Windows.program(Path::new(&with_slashes(script))) == "aws",
    });
    let own = || packages.iter().map(|folder| folder.join("awscli")).find_map(|folder| botocore(view, &folder));
    is_cli.then(own).flatten().or_else(|| packages.iter().find_map(|folder| botocore(view, folder)))
}

/// botocore in folders of packages of which files are mapped: in a program that embeds Python.
pub fn find_mapped(view: &View, files: &[PathBuf]) -> Option<Found> {
    mapped(files).into_iter().find_map(|folder| botocore(view, &folder))
}

/// The AWS CLI as AWS ships it, which brings its own interpreter and its own botocore.
pub fn find_cli(view: &View, executable: &Path) -> Option<Found> {
    let folder = executable.parent().filter(|_| view.layout().program(executable) == "aws")?;
    let version = folder.parent().and_then(Path::file_name).and_then(|name| name.to_str());
    let version = version.filter(|version| version.starts_with("2.")).map(printable);
    let is_cli = version.is_some() || view.is_dir(&folder.join("awscli"));
    is_cli.then(|| Found {
        library: Library::Sdk(Sdk::Botocore),
        version,
        evidence: printable(&executable.to_string_lossy()),
    })
}

fn botocore(view: &View, packages: &Path) -> Option<Found> {
    let folder = packages.join("botocore");
    view.is_dir(&folder).then(|| {
        let version = view
            .list(packages)
            .find_map(|name| Some(name.strip_prefix("botocore-")?.strip_suffix(".dist-info")?.to_owned()));
        Found {
            library: Library::Sdk(Sdk::Botocore),
            version: version.as_deref().map(printable),
            evidence: printable(&folder.to_string_lossy()),
        }
    })
}

/// The folders of packages, the most certain first.
fn packages(view: &View, of: &Interpreter<'_>) -> Vec<PathBuf> {
    let mut folders = mapped(of.files);
    folders.extend(of.hints.python_path.iter().filter_map(|folder| view.absolute(folder, of.working_directory)));
    let layout = view.layout();
    let program = of.arguments.first().filter(|program| program.contains(layout.slashes()));
    let prefix_of = |file: &Path| {
        let file = view.absolute(file, of.working_directory)?;
        let folder = file.parent()?;
        let prefix = match layout {
            Layout::Unix => folder.parent().filter(|_| folder.ends_with("bin"))?,
            Layout::Windows => folder.parent().filter(|_| layout.is_named(folder, "Scripts")).unwrap_or(folder),
        };
        Some(prefix.to_owned())
    };
    // Who starts an interpreter by its path does not start the one of the environment that is active.
    let prefix = match program {
        Some(program) => prefix_of(Path::new(program)),
        None => of.hints.virtual_env.clone(),
    };
    // An environment of Windows has a program of its own, and no link.
    let own = || of.executable.and_then(prefix_of).filter(|_| layout == Layout::Windows);
    let prefix = prefix.or_else(own);
    folders.extend(prefix.iter().flat_map(|prefix| below(view, prefix, of.executable)));
    let environment = prefix.as_deref().and_then(|prefix| Environment::at(view, prefix));
    // A virtual environment hides what is installed beside the interpreter, and for the user.
    if environment.as_ref().is_none_or(|environment| environment.lets_in_the_system) {
        let above = environment.and_then(|environment| environment.home).filter(|_| layout == Layout::Windows);
        let above = above.and_then(|home| view.absolute(&home, None)).or_else(|| of.executable.and_then(prefix_of));
        folders.extend(above.into_iter().flat_map(|prefix| below(view, &prefix, of.executable)));
        folders.extend(of.hints.home.iter().flat_map(|home| of_user(view, home, of.executable)));
    }
    folders
}

/// A virtual environment.
struct Environment {
    /// Whether it lets the packages of the system in.
    lets_in_the_system: bool,
    /// Where the interpreter is that it was made with.
    home: Option<PathBuf>,
}

impl Environment {
    /// The one at a prefix; `None` where that is no virtual environment.
    fn at(view: &View, prefix: &Path) -> Option<Self> {
        let file = view.open(&prefix.join("pyvenv.cfg")).ok()?;
        let mut text = String::new();
        let is_read = file.take(LARGEST_SETTINGS).read_to_string(&mut text).is_ok();
        let settings = || text.lines().filter_map(|line| line.split_once('=')).filter(|_| is_read);
        let is_open = |(name, value): (&str, &str)| {
            name.trim() == "include-system-site-packages" && value.trim().eq_ignore_ascii_case("true")
        };
        let home = settings().find(|(name, _)| name.trim() == "home").map(|(_, home)| home.trim().into());
        Some(Self { lets_in_the_system: settings().any(is_open), home })
    }
}

/// The folders of packages that a user has for himself.
fn of_user(view: &View, home: &Path, executable: Option<&Path>) -> Vec<PathBuf> {
    if view.layout() == Layout::Unix {
        return below(view, &home.join(".local"), executable);
    }
    let library = home.join("AppData/Roaming/Python");
    let versions = view.list(&library).filter(|folder| folder.starts_with("Python")).take(MOST_VERSIONS);
    versions.map(|version| library.join(version).join("site-packages")).collect()
}

/// The folders of packages below a prefix, of the interpreter's own version where its name tells it.
fn below(view: &View, prefix: &Path, executable: Option<&Path>) -> Vec<PathBuf> {
    if view.layout() == Layout::Windows {
        return vec![prefix.join("Lib/site-packages")];
    }
    let name = executable.and_then(Path::file_name).and_then(|name| name.to_str()).filter(|name| name.contains('.'));
    let is_right = |folder: &str| name.is_none_or(|name| folder == name || folder == "python3");
    let mut folders = Vec::new();
    for library in ["lib", "lib64", "local/lib"].map(|library| prefix.join(library)) {
        let versions = view.list(&library).filter(|folder| folder.starts_with("python") && is_right(folder));
        for version in versions.take(MOST_VERSIONS) {
            folders.extend(["site-packages", "dist-packages"].map(|packages| library.join(&version).join(packages)));
        }
    }
    folders
}

/// Folders of packages from which modules are mapped.
fn mapped(files: &[PathBuf]) -> Vec<PathBuf> {
    let of_file = |file: &PathBuf| {
        let is_packages = |folder: &&Path| folder.ends_with("site-packages") || folder.ends_with("dist-packages");
        file.ancestors().find(is_packages).map(Path::to_owned)
    };
    let mut folders: Vec<PathBuf> = files.iter().filter_map(of_file).collect();
    folders.sort();
    folders.dedup();
    folders
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    const SYSTEM: &str = "/usr/lib/python3/dist-packages/botocore";

    /// A host with botocore for the interpreter of the system, and two virtual environments.
    fn root() -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for folder in [
            "usr/lib/python3/dist-packages/botocore",
            "srv/venv/lib/python3.11/site-packages/botocore",
            "srv/venv/lib/python3.11/site-packages/botocore-1.43.11.dist-info",
            "srv/empty/lib/python3.11/site-packages",
            "srv/open/lib/python3.11/site-packages",
            "opt/python/lib/python3.9/site-packages/botocore",
        ] {
            fs::create_dir_all(root.path().join(folder)).unwrap();
        }
        for (path, inherits) in [("venv", "false"), ("empty", "false"), ("open", "true")] {
            let settings = format!("home = /usr/bin\ninclude-system-site-packages = {inherits}\n");
            fs::write(root.path().join(format!("srv/{path}/pyvenv.cfg")), settings).unwrap();
        }
        root
    }

    fn evidence(
        root: &Path,
        arguments: &[&str],
        executable: Option<&str>,
        hints: &Hints,
        files: &[&str],
    ) -> Option<String> {
        let files: Vec<PathBuf> = files.iter().map(PathBuf::from).collect();
        let interpreter = Interpreter {
            arguments,
            executable: executable.map(Path::new),
            working_directory: Some(Path::new("/srv")),
            hints,
            files: &files,
        };
        find(&View::new(root, 7), &interpreter).map(|found| found.evidence)
    }

    #[cfg(unix)]
    #[test]
    fn the_packages_of_the_right_environment_are_looked_through() {
        let (root, none) = (root(), Hints::default());
        let venv = Some("/srv/venv/lib/python3.11/site-packages/botocore".to_owned());
        let system = Some(SYSTEM.to_owned());
        let python = Some("/usr/bin/python3.11");
        let at = |arguments: &[&str]| evidence(root.path(), arguments, python, &none, &[]);
        assert_eq!(at(&["python3", "app.py"]), system);
        assert_eq!(at(&["/srv/venv/bin/python", "app.py"]), venv);
        assert_eq!(at(&["venv/bin/python", "app.py"]), venv, "from its working directory");
        assert_eq!(at(&["/usr/bin/python3", "/srv/venv/bin/gunicorn"]), system, "the script decides nothing");
        assert_eq!(at(&["/srv/empty/bin/python", "app.py"]), None, "it does not see those of the system");
        assert_eq!(at(&["/srv/open/bin/python", "app.py"]), system);
        let hints = Hints { virtual_env: Some("/srv/venv".into()), ..Hints::default() };
        assert_eq!(evidence(root.path(), &["python"], None, &hints, &[]), venv);
        assert_eq!(evidence(root.path(), &["/usr/bin/python3"], python, &hints, &[]), system, "it is not used");
    }

    #[cfg(unix)]
    #[test]
    fn packages_of_another_version_are_not_those_of_an_interpreter() {
        let (root, none) = (root(), Hints::default());
        let at = |executable| evidence(root.path(), &["python"], Some(executable), &none, &[]);
        assert_eq!(at("/opt/python/bin/python3.11"), None);
        assert_eq!(
            at("/opt/python/bin/python3.9").as_deref(),
            Some("/opt/python/lib/python3.9/site-packages/botocore")
        );
    }

    #[cfg(unix)]
    #[test]
    fn what_is_mapped_and_what_pythonpath_names_are_looked_through() {
        let (root, none) = (root(), Hints::default());
        let module = "/srv/venv/lib/python3.11/site-packages/cffi/_cffi.so";
        assert!(evidence(root.path(), &["uwsgi"], None, &none, &[module]).is_some());
        let found = find_mapped(&View::new(root.path(), 7), &[module.into()]).unwrap();
        assert_eq!(found.version.as_deref(), Some("1.43.11"));
        assert_eq!(find_mapped(&View::new(root.path(), 7), &["/usr/lib/libpython3.11.so".into()]), None);
        let hints = Hints { python_path: vec!["/usr/lib/python3/dist-packages".into()], ..Hints::default() };
        assert_eq!(evidence(root.path(), &["python"], None, &hints, &[]).as_deref(), Some(SYSTEM));
    }

    #[cfg(unix)]
    #[test]
    fn the_cli_that_aws_ships_is_known() {
        let root = root();
        let view = View::new(root.path(), 7);
        let found = find_cli(&view, Path::new("/usr/local/aws-cli/v2/2.31.4/dist/aws")).unwrap();
        assert_eq!((found.library, found.version.as_deref()), (Library::Sdk(Sdk::Botocore), Some("2.31.4")));
        let own = "/opt/python/lib/python3.9/site-packages/awscli/botocore";
        fs::create_dir_all(root.path().join(own.trim_start_matches('/'))).unwrap();
        let at = |script| {
            evidence(root.path(), &["python3", script], Some("/opt/python/bin/python3.9"), &Hints::default(), &[])
        };
        assert_eq!(at("/usr/bin/aws").as_deref(), Some(own));
        assert_eq!(at("/usr/bin/app").as_deref(), Some("/opt/python/lib/python3.9/site-packages/botocore"));
        assert_eq!(find_cli(&view, Path::new("/usr/local/bin/aws")), None);
        assert_eq!(find_cli(&view, Path::new("/usr/local/aws-cli/v2/2.31.4/dist/aws_completer")), None);
    }

    #[test]
    fn an_interpreter_is_known_by_its_name() {
        assert!(["python", "python3", "python3.11", "pypy3"].into_iter().all(is_interpreter));
        assert!(!["pythonic", "ipython", "python3-config", "bash"].into_iter().any(is_interpreter));
    }
}
