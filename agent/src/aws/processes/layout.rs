//! How programs and paths are written on a platform.

use std::path::{Path, PathBuf};

use super::text::{file_name, is_path};

/// Names of devices, which Windows finds in every folder and whatever ends them.
const DEVICES: [&str; 7] = ["AUX", "CLOCK$", "CON", "CONIN$", "CONOUT$", "NUL", "PRN"];
/// Those that a number follows.
const PORTS: [&str; 2] = ["COM", "LPT"];

/// How programs and paths are written. Paths of Windows have slashes here, `C:/Windows`, which it takes as well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// As on Unix.
    Unix,
    /// As on Windows: with drives, in capitals or not, and with endings.
    Windows,
}

impl Layout {
    /// The name by which the program in a file is known.
    pub fn program(self, file: &Path) -> String {
        let name = file_name(file);
        if self == Self::Unix {
            return name.to_owned();
        }
        let name = name.to_ascii_lowercase();
        match name.strip_suffix(".exe").unwrap_or(&name) {
            // The same without a window.
            "javaw" => "java".to_owned(),
            "pythonw" => "python".to_owned(),
            name => name.to_owned(),
        }
    }

    /// Whether two names are the same.
    pub fn is_same(self, one: &str, other: &str) -> bool {
        match self {
            Self::Unix => one == other,
            Self::Windows => one.eq_ignore_ascii_case(other),
        }
    }

    /// Whether the name of a file begins so.
    pub fn begins(self, file: &Path, begin: &str) -> bool {
        let name = file_name(file);
        name.get(..begin.len()).is_some_and(|own| self.is_same(own, begin))
    }

    /// Whether a file or folder has this name.
    pub fn is_named(self, file: &Path, name: &str) -> bool {
        file.file_name().and_then(|own| own.to_str()).is_some_and(|own| self.is_same(own, name))
    }

    /// What stands between the folders of a path.
    pub const fn slashes(self) -> &'static [char] {
        match self {
            Self::Unix => &['/'],
            Self::Windows => &['/', '\\'],
        }
    }

    /// What stands between the folders of a list.
    pub const fn between(self) -> char {
        match self {
            Self::Unix => ':',
            Self::Windows => ';',
        }
    }
}

/// A path of Windows with slashes, and without the mark of one on a drive that is long.
pub fn with_slashes(path: &str) -> String {
    let path = path.replace('\\', "/");
    let unmarked = path.strip_prefix("//?/").filter(|path| path.as_bytes().get(1) == Some(&b':'));
    unmarked.map_or_else(|| path.clone(), str::to_owned)
}

/// The path on a drive without `.` and `..`, made absolute by the working directory. `None` for what lies on no drive, such as
/// a share, which would be told who asks for it, for what Windows takes for a device or a stream, and for what is too long.
pub fn on_drive(path: &Path, working_directory: Option<&Path>) -> Option<PathBuf> {
    let mut path = with_slashes(path.to_str()?);
    if !path.contains(':') && !path.starts_with('/') {
        path = format!("{}/{path}", with_slashes(working_directory?.to_str()?));
    }
    let (drive, below) = path.split_at_checked(2)?;
    let is_drive = drive.starts_with(|c: char| c.is_ascii_alphabetic()) && drive.ends_with(':');
    if !is_drive || !below.starts_with('/') {
        return None;
    }
    let mut names = Vec::new();
    for name in below.split('/') {
        match name {
            "" | "." => {}
            ".." => drop(names.pop()),
            name if is_name(name) => names.push(name),
            _ => return None,
        }
    }
    Some(PathBuf::from(format!("{drive}/{}", names.join("/")))).filter(|whole| is_path(whole))
}

/// Whether this is the name of a file or a folder, or stands for all in it.
fn is_name(name: &str) -> bool {
    let is_odd = |c: char| c.is_control() || matches!(c, '"' | '*' | ':' | '<' | '>' | '?' | '|');
    name == "*" || !(name.contains(is_odd) || name.ends_with(['.', ' ']) || is_device(name))
}

fn is_device(name: &str) -> bool {
    let stem = name.split('.').next().unwrap_or_default().trim_end_matches(' ').to_ascii_uppercase();
    let is_port = || {
        let number = PORTS.iter().find_map(|port| stem.strip_prefix(port)).map(|number| number.chars());
        number.is_some_and(|number| number.clone().count() == 1 && number.clone().all(char::is_numeric))
    };
    DEVICES.contains(&&*stem) || is_port()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(path: &str) -> Option<String> {
        on_drive(Path::new(path), Some(Path::new(r"D:\work"))).map(|path| path.to_str().unwrap().to_owned())
    }

    #[test]
    fn what_lies_on_a_drive_is_found_there() {
        for (path, whole) in [
            (r"C:\Program Files\a\..\b.dll", "C:/Program Files/b.dll"),
            (r"\\?\C:\a", "C:/a"),
            ("c:/a//b/./c", "c:/a/b/c"),
            (r"C:\..\..\a", "C:/a"),
            (r"lib\*", "D:/work/lib/*"),
            ("app.js", "D:/work/app.js"),
            (r"C:\", "C:/"),
            (r"C:\a\.aws\x.y", "C:/a/.aws/x.y"),
            (r"C:\company\com10\console", "C:/company/com10/console"),
        ] {
            assert_eq!(at(path).as_deref(), Some(whole), "{path}");
        }
        assert_eq!(on_drive(Path::new("app.js"), None), None);
    }

    #[test]
    fn a_share_a_device_and_a_stream_are_no_files() {
        for path in [
            r"\\server\share\a.jar",
            "//server/share/a.jar",
            r"\\.\pipe\a",
            r"\\?\UNC\server\share\a",
            r"\\?\GLOBALROOT\Device\a",
            r"\Device\Mup\server\share\a",
            r"\a",
            "C:a",
            r"C:\a.txt:stream",
            r"C:\a\CON",
            r"C:\a\nul.txt",
            r"C:\a\COM1 .jar",
            r"C:\a\lpt².js",
            r"C:\a\PRN",
            r"C:\a\conin$",
            r"C:\a.",
            "C:\\a \\b",
            r"C:\a?\b",
            "C:\\a\0b",
            "é:\\a",
            "1:/a",
            "",
        ] {
            if path.is_empty() {
                assert_eq!(at(path).as_deref(), Some("D:/work"));
            } else {
                assert_eq!(at(path), None, "{path}");
            }
        }
        assert_eq!(at(&format!(r"C:\{}", "x".repeat(5_000))), None);
    }

    #[test]
    fn a_program_is_known_by_its_name_without_its_ending() {
        let program = |path: &str| Layout::Windows.program(Path::new(path));
        assert_eq!(program("C:/Python311/PYTHON.EXE"), "python");
        assert_eq!((program("C:/x/javaw.exe"), program("C:/x/pythonw.exe")), ("java".into(), "python".into()));
        assert_eq!(Layout::Unix.program(Path::new("/usr/bin/Java.exe")), "Java.exe");
        assert!(Layout::Windows.begins(Path::new("C:/x/JVM.dll"), "jvm.dll"));
        assert!(!Layout::Unix.begins(Path::new("/x/JVM.dll"), "jvm.dll"));
        assert!(!Layout::Windows.begins(Path::new("C:/x/éé"), "jvm"));
    }

    proptest! {
        #[test]
        fn no_path_makes_it_panic_or_leads_off_its_drive(path in r"([A-Z]:)?[\\/]?([a-c.:éN*? ]{0,4}[\\/]){0,6}(CON|COM1|\.\.|x)?") {
            if let Some(path) = at(&path) {
                prop_assert!(path.as_bytes()[1] == b':' && path.as_bytes()[2] == b'/', "{}", path);
                prop_assert!(!path[2..].contains([':', '\\']) && !path.contains("/../"), "{}", path);
            }
        }
    }
}
