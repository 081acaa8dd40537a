//! Looks through the processes of this host.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::cache::Cache;
use super::environment::{Environment, is_overwritten};
use super::facts;
use super::libraries::{Libraries, Running, libraries};
use super::process::Process;
use super::properties::Properties;
use super::text::{MOST_ARGUMENTS, file_name, printable};
use super::view::View;
use crate::sys;

pub use super::error::ProcessError;

/// More processes are not looked at.
const MOST: usize = 4_096;
/// More of a command line or an environment is not read: one argument is no longer, but for its last byte.
const LONGEST: usize = 128 * 1024;
/// More of a list of mapped files is not read.
const LONGEST_MAPS: usize = 256 * 1024;

/// All processes with a program, in the order of their numbers. `root` is `/` but in tests. What cannot be read is left out
/// of a process, and what ends meanwhile is left out of the list. This reads files, and may take seconds the first time.
pub fn scan(root: &Path, cache: &mut Cache) -> Vec<Process> {
    let mut processes = Vec::new();
    each(root, cache, |process| processes.push(process));
    processes
}

/// Hands over what [`scan`] lists, holding one process at a time, and says whether those are all processes of this host: it
/// may hide some, or have too many.
pub fn each(root: &Path, cache: &mut Cache, mut take: impl FnMut(Process)) -> bool {
    cache.begin();
    let (pids, are_listed) = if sys::HAS_PROC { listed(root) } else { facts::listed() };
    let mut are_all = are_listed && pids.len() <= MOST;
    for pid in pids.into_iter().take(MOST) {
        match look(root, pid, cache) {
            Ok(process) => take(process),
            Err(ProcessError::Denied(_)) => are_all = false,
            Err(ProcessError::NotFound(_) | ProcessError::NoProgram(_)) => {}
        }
    }
    cache.end();
    are_all
}

/// The numbers in `/proc`, and whether none is hidden.
fn listed(root: &Path) -> (Vec<u32>, bool) {
    let entries = fs::read_dir(root.join("proc")).into_iter().flatten().flatten();
    let mut pids: Vec<u32> = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
    pids.sort_unstable();
    // The first process never ends: only where those of others are hidden is there none.
    let are_all = pids.first() == Some(&1);
    (pids, are_all)
}

/// One process.
///
/// # Errors
/// It does not exist, runs no program, or its environment, or on Windows its command line, belongs to another user.
pub fn one(root: &Path, pid: u32, cache: &mut Cache) -> Result<Process, ProcessError> {
    if !sys::HAS_PROC {
        return facts::one(pid, cache);
    }
    let process = look(root, pid, cache)?;
    match process.environment {
        None if !process.is_overwritten => Err(ProcessError::Denied(pid)),
        _ => Ok(process),
    }
}

fn look(root: &Path, pid: u32, cache: &mut Cache) -> Result<Process, ProcessError> {
    if !sys::HAS_PROC {
        return facts::look(pid, cache);
    }
    let view = View::new(root, pid);
    let (line, is_line_whole) = view.read("cmdline", LONGEST).map_err(|error| match error.kind() {
        io::ErrorKind::PermissionDenied => ProcessError::Denied(pid),
        _ => ProcessError::NotFound(pid),
    })?;
    let line = String::from_utf8_lossy(&line);
    let mut rest = line.split_terminator('\0');
    let arguments: Vec<&str> = rest.by_ref().take(MOST_ARGUMENTS).collect();
    let is_line_whole = is_line_whole && rest.next().is_none();
    if arguments.iter().all(|argument| argument.is_empty()) {
        return Err(ProcessError::NoProgram(pid));
    }
    let environ = view.read("environ", LONGEST).ok();
    let is_environment_whole = environ.as_ref().is_some_and(|(_, is_whole)| *is_whole);
    let is_overwritten = environ.as_ref().is_some_and(|(bytes, _)| is_overwritten(bytes));
    let environ = environ.filter(|_| !is_overwritten);
    let (environment, hints) = environ.map(|(bytes, is_whole)| Environment::read(entries(&bytes, is_whole))).unzip();
    let hints = hints.unwrap_or_default();
    let (mapped, are_all_mapped) = mapped(&view);
    let running = Running {
        arguments: &arguments,
        executable: view.link("exe").ok().map(|path| view.within(&path)),
        working_directory: view.link("cwd").ok().map(|path| view.within(&path)),
        mapped,
        are_all_mapped,
        hints: &hints,
    };
    let Libraries { found, is_whole, is_java } = libraries(&view, running, cache);
    let on_line = Properties::of_command_line(&arguments);
    // Children of all kinds inherit the variables, and none but a machine of Java reads them.
    let [tool, jdk, last] = &hints.properties;
    let properties = if is_java { tool.clone().then(jdk).then(&on_line).then(last) } else { on_line };
    let is_partial = !(is_whole && is_line_whole && is_environment_whole) || hints.is_cut || is_overwritten;
    let (command, home) = (command(&view, &arguments), view.home());
    Ok(Process { pid, command, found, environment, is_overwritten, properties, home, is_partial })
}

/// The variables in what was read of an environment: where it was cut, the last one may be as well.
fn entries(bytes: &[u8], is_whole: bool) -> &[u8] {
    let end = bytes.iter().rposition(|byte| *byte == 0).filter(|_| !is_whole).unwrap_or(bytes.len());
    bytes.get(..end).unwrap_or_default()
}

/// The name that the kernel gives it, or else that of its executable.
fn command(view: &View, arguments: &[&str]) -> String {
    let given = view.read("comm", 64).ok().map(|(name, _)| String::from_utf8_lossy(&name).trim_end().to_owned());
    let name = given.or_else(|| arguments.first().map(|program| file_name(Path::new(program)).to_owned()));
    printable(&name.unwrap_or_default())
}

/// The files of `/proc/PID/maps`, each once, and whether those are all.
fn mapped(view: &View) -> (Vec<PathBuf>, bool) {
    let mut files = BTreeSet::new();
    let read = view.lines("maps", LONGEST_MAPS, |line| {
        // The path is the last of six columns, and the only one with a slash in front.
        let begin = line.windows(2).position(|pair| pair == b" /").map(|at| at + 1);
        let path = begin.and_then(|begin| line.get(begin..));
        files.extend(path.map(|path| view.within(Path::new(&*String::from_utf8_lossy(path)))));
    });
    (files.into_iter().collect(), read.unwrap_or(false))
}

#[cfg(unix)]
#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use proptest::prelude::*;

    use super::*;
    use crate::aws::processes::library::Library;
    use crate::aws::processes::process::sdks_in_use;
    use crate::aws::processes::watch::in_use;
    use crate::aws::sdk::Sdk;

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
            let user = nix::unistd::geteuid();
            self.file(&format!("proc/{pid}/status"), format!("Uid:\t{user}\t{user}\t{user}\t{user}\n"));
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
        host.file("srv/web.deps.json", "{\"libraries\": {\"AWSSDK.Core/3.7.402\": {}}}");
        host.file("usr/bin/dotnet", "\u{7f}ELF");
        host.process(17, "/usr/bin/dotnet", &["dotnet", "web.dll"], &[]);
        host.file("opt/single", "\u{7f}ELF .. AWSSDK.Core.dll ..");
        host.process(18, "/opt/single", &["single"], &[]);
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
                (17, vec![sdk(Sdk::DotNetV3)]),
                (18, vec![sdk(Sdk::DotNetV4)]),
            ]
        );
        assert!(processes.iter().all(|process| !process.is_partial), "{processes:?}");
        let mut expected = BTreeSet::from([Sdk::Botocore, Sdk::GoV2Legacy, Sdk::Rust, Sdk::Cpp, Sdk::JsV3]);
        expected.extend([Sdk::DotNetV3, Sdk::DotNetV4]);
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
            let by_variable = Some("aws.accessKeyId").filter(|_| executable == "/usr/bin/java");
            let expected = by_variable.into_iter().chain(["aws.secretKey"]).collect();
            assert_eq!(process.properties.names(), expected, "{executable}");
            let environment = process.environment.unwrap();
            assert!(environment.has("AWS_SECRET_ACCESS_KEY"));
            assert_eq!(environment.value("HTTPS_PROXY"), Some("http://proxy:3128"));
            assert_eq!(environment.value("AWS_PROFILE"), Some("work"));
        }
    }

    #[test]
    fn the_options_in_variables_are_those_of_a_machine_of_java_alone() {
        let host = Host::new();
        let options = ["JAVA_TOOL_OPTIONS=-Daws.accessKeyId=a -Daws.profile=b"];
        host.process(7, "/usr/bin/java", &["java", "-Daws.secretKey=c", "Main"], &options);
        host.process(8, "/usr/bin/sleep", &["sleep", "9999"], &options);
        host.process(9, "/usr/bin/jsvc", &["jsvc"], &options);
        host.file("proc/9/maps", "7f00-7f01 r-xp 00000000 fe:01 12 /usr/lib/jvm/lib/server/libjvm.so\n");
        let processes = host.scan();
        let [java, sleep, jsvc] = &processes[..] else { panic!("{processes:?}") };
        let giver = |process: &Process, name: &str| process.properties.giver(name);
        assert_eq!(giver(java, "aws.accessKeyId"), Some("JAVA_TOOL_OPTIONS"));
        assert!(java.properties.has("aws.secretKey") && giver(java, "aws.secretKey").is_none());
        assert!(sleep.properties.is_empty(), "{sleep:?}");
        assert_eq!(jsvc.properties.value("aws.profile"), Some("b"));
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
    fn what_a_process_has_without_end_is_cut_and_says_so() {
        let host = Host::new();
        host.file("usr/bin/app", "\u{7f}ELF");
        let partial = |name: &str, content: &[u8]| {
            let _ = fs::remove_dir_all(host.0.path().join("proc"));
            host.process(7, "/usr/bin/app", &["app"], &[]);
            host.file(&format!("proc/7/{name}"), content);
            one(host.0.path(), 7, &mut Cache::default()).unwrap()
        };
        let (line, variables) = (b"app\0".to_vec(), b"AWS_REGION=a\0".to_vec());
        let nulls = |count| vec![0; count];
        let filler = |count: usize| [b"X=".to_vec(), vec![b'x'; count - 2]].concat();
        for (name, fits, too_much) in [
            ("cmdline", [line.clone(), nulls(MOST_ARGUMENTS - 1)], [line.clone(), nulls(MOST_ARGUMENTS)]),
            ("cmdline", [line.clone(), vec![b'x'; LONGEST - 4]], [line, vec![b'x'; LONGEST]]),
            ("environ", [variables.clone(), filler(LONGEST - 13)], [variables.clone(), filler(LONGEST)]),
            ("maps", [b"\n".to_vec(), vec![b'\n'; LONGEST_MAPS - 1]], [vec![], vec![b'\n'; LONGEST_MAPS + 1]]),
            ("environ", [b"PYTHONPATH=".to_vec(), vec![b':'; 1_023]], [b"PYTHONPATH=".to_vec(), vec![b':'; 1_024]]),
        ] {
            assert!(!partial(name, &fits.concat()).is_partial, "{name}");
            assert!(partial(name, &too_much.concat()).is_partial, "{name}");
        }
        let cut = [variables, b"AWS_PROFILE=".to_vec(), vec![b'w'; LONGEST]].concat();
        let environment = partial("environ", &cut).environment.unwrap();
        assert_eq!((environment.value("AWS_REGION"), environment.has("AWS_PROFILE")), (Some("a"), false));
    }

    #[test]
    fn which_sdks_run_is_known_for_certain_only_if_every_process_is_seen_in_full() {
        let host = Host::new();
        host.file("usr/bin/goapp", "\u{7f}ELF .. /github.com/aws/aws-sdk-go-v2@v1.30.3/aws/config.go ..");
        let seen = || {
            let seen = in_use(host.0.path(), &mut Cache::default());
            (seen.sdks, seen.is_whole)
        };
        let go = || BTreeSet::from([Sdk::GoV2Legacy]);
        host.process(7, "/usr/bin/goapp", &["goapp"], &[]);
        assert_eq!(seen(), (go(), false), "the first process is hidden, and so are others");
        host.process(1, "/usr/bin/goapp", &["init"], &[]);
        host.process(2, "", &[], &[]);
        host.process(std::process::id(), "/usr/bin/gone", &["skewguard"], &[]);
        assert_eq!(seen(), (go(), true), "neither the kernel nor this agent counts");
        host.process(8, "/usr/bin/gone", &["gone"], &[]);
        assert_eq!(seen(), (go(), false));
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
