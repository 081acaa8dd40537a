//! Looks through the processes of this host.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::binary::{NATIVE, search};
use super::cache::Cache;
use super::environment::{Environment, Hints};
use super::process::{Found, Library, Process, printable};
use super::python::Interpreter;
use super::view::View;
use super::{java, node, python};
use crate::assess::sdk::Sdk;

/// More processes are not looked at.
const MOST: usize = 4_096;
/// More of a command line, an environment or a list of mapped files is not read.
const LONGEST: u64 = 4 * 1024 * 1024;
/// This program, which holds the marks of all SDKs and signs by what it reads for each request anew.
const OURSELVES: &str = "skewguard";

/// The libraries of C++, and of the Common Runtime on which others are built.
const NATIVE_LIBRARIES: &[&str] = &["libaws-cpp-sdk-core.so", "libaws-c-auth.so"];

/// Why one process cannot be looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProcessError {
    /// There is no such process, or it is hidden.
    #[error("there is no process {0}: `ps -e` lists those there are, as root where /proc hides them")]
    NotFound(u32),
    /// It is a part of the kernel, or has ended already.
    #[error("the process {0} runs no program: it is a part of the kernel, or has ended")]
    NoProgram(u32),
    /// It belongs to another user.
    #[error("the process {0} belongs to another user: run this as that user, or as root")]
    Denied(u32),
}

/// All processes with a program, in the order of their numbers. `root` is `/` but in tests. What cannot be read is left out
/// of a process, and what ends meanwhile is left out of the list. This reads files, and may take seconds the first time.
pub fn scan(root: &Path, cache: &mut Cache) -> Vec<Process> {
    cache.begin();
    let entries = fs::read_dir(root.join("proc")).into_iter().flatten().flatten();
    let mut pids: Vec<u32> = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
    pids.sort_unstable();
    let processes = pids.into_iter().take(MOST).filter_map(|pid| look(root, pid, cache).ok()).collect();
    cache.end();
    processes
}

/// One process.
///
/// # Errors
/// It does not exist, runs no program, or its environment belongs to another user.
pub fn one(root: &Path, pid: u32, cache: &mut Cache) -> Result<Process, ProcessError> {
    let process = look(root, pid, cache)?;
    match process.environment {
        Some(_) => Ok(process),
        None => Err(ProcessError::Denied(pid)),
    }
}

fn look(root: &Path, pid: u32, cache: &mut Cache) -> Result<Process, ProcessError> {
    let view = View::new(root, pid);
    let line = view.read("cmdline", LONGEST).map_err(|error| match error.kind() {
        io::ErrorKind::PermissionDenied => ProcessError::Denied(pid),
        _ => ProcessError::NotFound(pid),
    })?;
    let line = String::from_utf8_lossy(&line);
    let arguments: Vec<&str> = line.split_terminator('\0').collect();
    if arguments.iter().all(|argument| argument.is_empty()) {
        return Err(ProcessError::NoProgram(pid));
    }
    let (environment, hints) = view.read("environ", LONGEST).map(|bytes| Environment::read(&bytes)).ok().unzip();
    let hints = hints.unwrap_or_default();
    let mut properties = java::properties(arguments.iter().copied());
    properties.extend(&hints.properties);
    let (found, is_whole) = libraries(&view, &arguments, &hints, cache);
    let is_partial = !is_whole || environment.is_none();
    Ok(Process { pid, command: command(&view, &arguments), found, environment, properties, is_partial })
}

/// The name that the kernel gives it, or else that of its executable.
fn command(view: &View, arguments: &[&str]) -> String {
    let given = view.read("comm", 64).ok().map(|name| String::from_utf8_lossy(&name).trim_end().to_owned());
    let name = given.or_else(|| arguments.first().map(|program| file_name(Path::new(program)).to_owned()));
    printable(&name.unwrap_or_default())
}

/// The libraries of a process, and whether all that tells them could be read.
fn libraries(view: &View, arguments: &[&str], hints: &Hints, cache: &mut Cache) -> (Vec<Found>, bool) {
    let executable = view.link("exe").ok();
    let working_directory = view.link("cwd").ok();
    let maps = view.read("maps", LONGEST).ok();
    let mapped: Vec<PathBuf> = maps.iter().flat_map(|maps| mapped(maps)).collect();
    let is_readable = executable.is_some() && maps.is_some();
    let started = arguments.first().map_or(Path::new(""), Path::new);
    let program = file_name(executable.as_deref().unwrap_or(started));
    let has = |name: &str| mapped.iter().any(|file| file_name(file).starts_with(name));
    let (found, is_whole) = if program == OURSELVES {
        (Vec::new(), true)
    } else if python::is_interpreter(program) {
        let interpreter = Interpreter {
            arguments,
            executable: executable.as_deref(),
            working_directory: working_directory.as_deref(),
            hints,
            files: &mapped,
        };
        (python::find(view, &interpreter).into_iter().collect(), true)
    } else if program == "java" || has("libjvm.so") {
        let files: Vec<PathBuf> = mapped.iter().cloned().chain(view.open_files()).collect();
        java::find(view, arguments, &files, working_directory.as_deref(), cache)
    } else if matches!(program, "node" | "nodejs" | "bun") {
        node::find(view, arguments, working_directory.as_deref(), cache)
    } else {
        let embedded = has("libpython").then(|| python::find_mapped(view, &mapped)).flatten();
        let cli = executable.as_deref().and_then(|executable| python::find_cli(view, executable));
        let (native, is_whole) = native(view, executable.as_deref(), &mapped, cache);
        (cli.into_iter().chain(embedded).chain(native).collect(), is_whole)
    };
    (found, is_whole && is_readable)
}

/// What an executable holds, and the libraries of C++ that it has loaded.
fn native(view: &View, executable: Option<&Path>, mapped: &[PathBuf], cache: &mut Cache) -> (Vec<Found>, bool) {
    let inside = executable.and_then(|executable| {
        let file = view.open(executable).ok()?;
        let metadata = file.metadata().ok()?;
        cache.get(&metadata, || search(&file, NATIVE, &executable.to_string_lossy()).ok())
    });
    let is_whole = inside.is_some();
    let mut found = inside.unwrap_or_default();
    let is_library = |file: &&PathBuf| NATIVE_LIBRARIES.iter().any(|library| file_name(file).starts_with(library));
    if let Some(library) = mapped.iter().find(is_library) {
        let cpp = Library::Sdk(Sdk::Cpp);
        if found.iter().all(|known| known.library != cpp) {
            found.push(Found { library: cpp, version: None, evidence: printable(&library.to_string_lossy()) });
        }
    }
    (found, is_whole)
}

/// The files of `/proc/PID/maps`, each once.
fn mapped(maps: &[u8]) -> BTreeSet<PathBuf> {
    let lines = maps.split(|byte| *byte == b'\n');
    // The path is the last of six columns, and the only one with a slash in front.
    let paths = lines.filter_map(|line| line.get(line.windows(2).position(|pair| pair == b" /")? + 1..));
    paths.map(|path| PathBuf::from(String::from_utf8_lossy(path).into_owned())).collect()
}

fn file_name(path: &Path) -> &str {
    path.file_name().and_then(|name| name.to_str()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use proptest::prelude::*;

    use super::*;
    use crate::aws::processes::process::sdks_in_use;

    const SECRET: &str = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";

    /// A host of invented processes.
    struct Host(tempfile::TempDir);

    impl Host {
        fn new() -> Self {
            Self(tempfile::tempdir().unwrap())
        }

        fn file(&self, path: &str, content: impl AsRef<[u8]>) {
            let path = self.0.path().join(path.trim_start_matches('/'));
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }

        fn process(&self, pid: u32, executable: &str, arguments: &[&str], environment: &[&str]) {
            let ended = |parts: &[&str]| parts.iter().map(|part| format!("{part}\0")).collect::<String>();
            self.file(&format!("proc/{pid}/cmdline"), ended(arguments));
            self.file(&format!("proc/{pid}/environ"), ended(environment));
            self.file(&format!("proc/{pid}/maps"), "");
            self.file(&format!("proc/{pid}/comm"), format!("{}\n", file_name(Path::new(executable))));
            for (name, target) in [("exe", executable), ("cwd", "/srv")] {
                let link = self.0.path().join(format!("proc/{pid}/{name}"));
                // Only a part of the kernel has none.
                assert!(symlink(target, link).is_ok() || target.is_empty());
            }
        }

        fn scan(&self) -> Vec<Process> {
            scan(self.0.path(), &mut Cache::default())
        }
    }

    fn told(processes: &[Process]) -> Vec<(u32, Vec<Library>)> {
        let of = |process: &Process| (process.pid, process.found.iter().map(|found| found.library).collect());
        processes.iter().map(of).collect()
    }

    #[test]
    fn every_runtime_is_recognised_by_what_it_runs() {
        let host = Host::new();
        host.file("usr/lib/python3/dist-packages/botocore/__init__.py", "");
        host.file("srv/node_modules/@aws-sdk/client-s3/package.json", "{}");
        host.file("usr/bin/goapp", "\u{7f}ELF .. /github.com/aws/aws-sdk-go-v2@v1.30.3/aws/config.go ..");
        host.file("usr/bin/rustapp", "\u{7f}ELF .. /aws-config-1.8.0/src/lib.rs ..");
        host.file("usr/bin/cppapp", "\u{7f}ELF");
        host.file("usr/bin/bash", "\u{7f}ELF");
        host.file("opt/app.jar", "BOOT-INF/lib/aws-java-sdk-core-1.12.700.jar");
        host.process(10, "/usr/bin/python3.11", &["python3", "app.py"], &[]);
        host.process(11, "/usr/bin/goapp", &["goapp"], &[]);
        host.process(12, "/usr/bin/rustapp", &["rustapp"], &[]);
        host.process(13, "/usr/bin/cppapp", &["cppapp"], &[]);
        host.file(
            "proc/13/maps",
            "7f00-7f01 r-xp 00000000 fe:01 12 /usr/lib/libaws-cpp-sdk-core.so.1\n7f01-7f02 rw-p 0 0:0 0 [heap]\n",
        );
        host.process(14, "/usr/bin/node", &["node", "main.js"], &[]);
        host.process(15, "/usr/bin/java", &["java", "-jar", "/opt/app.jar"], &[]);
        host.process(16, "/usr/bin/bash", &["bash"], &[]);
        host.process(2, "", &[], &[]);
        host.file("proc/self/cmdline", "x\0");
        let processes = host.scan();
        let sdk = Library::Sdk;
        assert_eq!(
            told(&processes),
            [
                (10, vec![sdk(Sdk::Botocore)]),
                (11, vec![sdk(Sdk::GoV2Legacy)]),
                (12, vec![sdk(Sdk::Rust)]),
                (13, vec![sdk(Sdk::Cpp)]),
                (14, vec![sdk(Sdk::JsV3)]),
                (15, vec![Library::JavaV1]),
                (16, vec![]),
            ]
        );
        assert!(processes.iter().all(|process| !process.is_partial), "{processes:?}");
        let expected = BTreeSet::from([Sdk::Botocore, Sdk::GoV2Legacy, Sdk::Rust, Sdk::Cpp, Sdk::JsV3]);
        assert_eq!(sdks_in_use(&processes), expected);
    }

    #[test]
    fn no_secret_of_a_command_line_or_an_environment_is_kept() {
        let host = Host::new();
        let arguments = [
            "java",
            &format!("-Daws.secretKey={SECRET}"),
            &format!("--token={SECRET}"),
            "-jar",
            &format!("/{SECRET}.txt"),
        ];
        let environment = [
            format!("AWS_SECRET_ACCESS_KEY={SECRET}"),
            format!("JAVA_TOOL_OPTIONS=-Daws.accessKeyId={SECRET}"),
            format!("HTTPS_PROXY=http://user:{SECRET}@proxy:3128"),
            format!("VIRTUAL_ENV={SECRET}"),
            "AWS_PROFILE=work".to_owned(),
        ];
        for executable in ["/usr/bin/java", "/usr/bin/python3", "/usr/bin/node", "/usr/bin/app"] {
            let _ = fs::remove_dir_all(host.0.path().join("proc"));
            host.process(7, executable, &arguments, &environment.each_ref().map(String::as_str));
            let process = one(host.0.path(), 7, &mut Cache::default()).unwrap();
            let debugged = format!("{process:?}");
            assert!(!debugged.contains(SECRET.get(..10).unwrap()), "{debugged}");
            assert_eq!(process.properties, BTreeSet::from(["aws.accessKeyId", "aws.secretKey"]));
            let environment = process.environment.unwrap();
            assert!(environment.has("AWS_SECRET_ACCESS_KEY"));
            assert_eq!(environment.value("HTTPS_PROXY"), Some("http://proxy:3128"));
            assert_eq!(environment.value("AWS_PROFILE"), Some("work"));
        }
    }

    #[test]
    fn one_process_is_told_or_why_it_is_not() {
        let host = Host::new();
        host.process(7, "/usr/bin/app", &["app"], &[]);
        host.process(8, "/usr/bin/app", &["app"], &[]);
        fs::remove_file(host.0.path().join("proc/8/environ")).unwrap();
        host.process(9, "", &[], &[]);
        let one = |pid| one(host.0.path(), pid, &mut Cache::default()).map(|process| process.command);
        assert_eq!(one(7), Ok("app".to_owned()));
        assert_eq!(one(8), Err(ProcessError::Denied(8)));
        assert_eq!(one(9), Err(ProcessError::NoProgram(9)));
        assert_eq!(one(10), Err(ProcessError::NotFound(10)));
        let partial = host.scan().into_iter().find(|process| process.pid == 8).unwrap();
        assert!(partial.is_partial && partial.environment.is_none());
    }

    #[test]
    fn this_agent_is_no_sdk_although_it_holds_their_marks() {
        let host = Host::new();
        let marks = "github.com/aws/aws-sdk-go-v2@v1.30.3/ aws-sdk-cpp/";
        host.file("usr/bin/skewguard", marks);
        host.file("usr/bin/other", marks);
        host.process(7, "/usr/bin/skewguard", &["skewguard", "run"], &[]);
        host.process(8, "/usr/bin/other", &["other"], &[]);
        let libraries = told(&host.scan());
        assert_eq!((libraries[0].1.len(), libraries[1].1.len()), (0, 2));
    }

    #[test]
    fn an_executable_that_was_replaced_is_partial() {
        let host = Host::new();
        host.process(7, "/usr/bin/gone (deleted)", &["gone"], &[]);
        assert!(host.scan().iter().all(|process| process.is_partial));
    }

    #[test]
    fn a_real_process_is_seen_in_the_real_proc() {
        let mut command = std::process::Command::new("sleep");
        let mut child =
            command.arg("60").env("AWS_SECRET_ACCESS_KEY", SECRET).env("AWS_PROFILE", "work").spawn().unwrap();
        // For a moment it has no arguments yet.
        let mut process = Err(ProcessError::NoProgram(child.id()));
        for _ in 0..500 {
            process = one(Path::new("/"), child.id(), &mut Cache::default());
            if !matches!(process, Err(ProcessError::NoProgram(_))) {
                break;
            }
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        child.kill().unwrap();
        child.wait().unwrap();
        let process = process.unwrap();
        assert_eq!((process.command.as_str(), process.is_partial), ("sleep", false), "{process:?}");
        let environment = process.environment.unwrap();
        assert_eq!(environment.value("AWS_PROFILE"), Some("work"));
        assert!(environment.has("AWS_SECRET_ACCESS_KEY") && environment.value("AWS_SECRET_ACCESS_KEY").is_none());
    }

    proptest! {
        #[test]
        fn no_bytes_in_proc_make_it_panic(line: Vec<u8>, environment: Vec<u8>, maps: Vec<u8>, runtime in 0..4_usize) {
            let host = Host::new();
            let executable = ["/usr/bin/python3", "/usr/bin/java", "/usr/bin/node", "/usr/bin/app"][runtime];
            host.process(7, executable, &["x"], &[]);
            host.file("proc/7/cmdline", [b"x\0-cp\0".as_slice(), &line].concat());
            host.file("proc/7/environ", environment);
            host.file("proc/7/maps", [b"0-1 r 0 0:0 0 /".as_slice(), &maps].concat());
            prop_assert_eq!(host.scan().len(), 1);
        }
    }
}
