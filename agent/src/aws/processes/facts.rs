//! The processes of Windows, by what it tells of them.

use std::io;
use std::path::{Path, PathBuf};

use super::cache::Cache;
use super::command_line::split;
use super::environment::Hints;
use super::error::ProcessError;
use super::layout::with_slashes;
use super::libraries::{Libraries, Running, libraries};
use super::process::Process;
use super::properties::Properties;
use super::text::{MOST_ARGUMENTS, file_name, printable};
use super::view::View;
use crate::sys::{self, ProcessFacts};

/// The numbers of all processes, in their order, and whether they could be listed.
pub fn listed() -> (Vec<u32>, bool) {
    let Ok(mut pids) = sys::processes() else { return (Vec::new(), false) };
    pids.sort_unstable();
    (pids, true)
}

/// One process, as far as it can be asked.
///
/// # Errors
/// It does not exist, runs no program, or nothing of it may be known.
pub fn look(pid: u32, cache: &mut Cache) -> Result<Process, ProcessError> {
    told(pid, &asked(pid)?, &View::of_drives(), cache)
}

/// One process.
///
/// # Errors
/// It does not exist, runs no program, or belongs to another user.
pub fn one(pid: u32, cache: &mut Cache) -> Result<Process, ProcessError> {
    let facts = asked(pid)?;
    // What belongs to others is told neither in full nor by its command line.
    if facts.command_line.is_none() && !facts.are_all_modules && facts.executable.is_some() {
        return Err(ProcessError::Denied(pid));
    }
    told(pid, &facts, &View::of_drives(), cache)
}

fn asked(pid: u32) -> Result<ProcessFacts, ProcessError> {
    sys::process(pid).map_err(|error| match error.kind() {
        io::ErrorKind::PermissionDenied => ProcessError::Denied(pid),
        _ => ProcessError::NotFound(pid),
    })
}

/// What these facts say of a process whose files are those that `view` sees. Nobody may read its variables: they are in its
/// memory, and that alone makes nothing of it partial.
fn told(pid: u32, facts: &ProcessFacts, view: &View, cache: &mut Cache) -> Result<Process, ProcessError> {
    let slashed = |path: &PathBuf| PathBuf::from(with_slashes(&path.to_string_lossy()));
    let (arguments, is_line_whole) = split(facts.command_line.as_deref().unwrap_or_default(), MOST_ARGUMENTS);
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let executable = facts.executable.as_ref().map(slashed);
    if executable.is_none() && arguments.iter().all(|argument| argument.is_empty()) {
        return Err(ProcessError::NoProgram(pid));
    }
    let started = arguments.first().map(|program| PathBuf::from(with_slashes(program)));
    let command = printable(file_name(executable.as_deref().or(started.as_deref()).unwrap_or(Path::new(""))));
    let hints = Hints { home: facts.home.as_ref().map(slashed), ..Hints::default() };
    let running = Running {
        arguments: &arguments,
        executable,
        working_directory: None,
        mapped: facts.modules.iter().map(slashed).collect(),
        are_all_mapped: facts.are_all_modules,
        hints: &hints,
    };
    let Libraries { mut found, is_whole, .. } = libraries(view, running, cache);
    // People know their paths as Windows writes them.
    found.iter_mut().for_each(|found| found.evidence = found.evidence.replace('/', "\\"));
    Ok(Process {
        pid,
        command,
        found,
        environment: None,
        is_overwritten: false,
        properties: Properties::of_command_line(&arguments),
        home: facts.home.clone(),
        is_partial: !(is_whole && is_line_whole && facts.command_line.is_some()),
    })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use proptest::prelude::*;

    use super::*;
    use crate::aws::processes::library::Library;
    use crate::aws::sdk::Sdk;

    /// The disks of a host of Windows, as folders.
    struct Host(tempfile::TempDir);

    impl Host {
        fn new() -> Self {
            Self(tempfile::tempdir().unwrap())
        }

        fn file(&self, path: &str, content: impl AsRef<[u8]>) {
            let path = self.0.path().join(place(path));
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }

        fn told(&self, facts: &ProcessFacts) -> Result<Process, ProcessError> {
            told(7, facts, &View::of_drives_below(self.0.path()), &mut Cache::default())
        }

        /// What is found in a process, and whether it is partial.
        fn found(
            &self,
            line: &str,
            executable: &str,
            modules: &[&str],
        ) -> (Vec<(Library, Option<String>, String)>, bool) {
            let process = self.told(&facts(line, executable, modules)).unwrap();
            let found = process.found.into_iter().map(|found| (found.library, found.version, found.evidence));
            (found.collect(), process.is_partial)
        }

        fn one(&self, line: &str, executable: &str, modules: &[&str]) -> (Sdk, Option<String>, String) {
            let (mut found, _) = self.found(line, executable, modules);
            assert_eq!(found.len(), 1, "{line} {executable} {modules:?}: {found:?}");
            let (library, version, evidence) = found.remove(0);
            (library.sdk().unwrap(), version, evidence)
        }
    }

    /// Where a path of a drive is below the folder of the drives: an ordinary folder on Windows cannot have its name.
    fn place(path: &str) -> String {
        path.replace('\\', "/").replace("C:/", if sys::HAS_PROC { "C:/" } else { "" })
    }

    fn facts(line: &str, executable: &str, modules: &[&str]) -> ProcessFacts {
        ProcessFacts {
            command_line: Some(line.to_owned()),
            executable: Some(executable.into()),
            modules: modules.iter().map(PathBuf::from).collect(),
            are_all_modules: true,
            home: Some(r"C:\Users\u".into()),
        }
    }

    fn version(version: &str) -> Option<String> {
        Some(version.to_owned())
    }

    #[test]
    fn a_program_of_dotnet_is_known_by_what_it_has_loaded_or_has_beside_it() {
        let host = Host::new();
        let list = |version: &str| format!("{{\"libraries\": {{\"AWSSDK.Core/{version}\": {{}}}}}}");
        host.file(r"C:\srv\web.deps.json", list("4.0.3"));
        host.file(r"C:\srv\My.Worker.deps.json", list("3.7.402"));
        host.file(r"C:\old\AWSSDK.Core.dll", "MZ");
        host.file(r"C:\old\single.exe", "MZ .. AWSSDK.Core.dll ..");
        host.file(r"C:\none\plain.exe", "MZ");
        host.file(r"C:\Program Files\dotnet\dotnet.exe", "MZ");
        let dotnet = r"C:\Program Files\dotnet\dotnet.exe";
        let web = host.one(r#""C:\Program Files\dotnet\dotnet.exe" C:\srv\web.dll"#, dotnet, &[]);
        assert_eq!(web, (Sdk::DotNetV4, version("4.0.3"), r"C:\srv\web.deps.json".to_owned()));
        let coreclr = r"C:\Program Files\dotnet\shared\CoreCLR.dll";
        let worker = host.one("My.Worker", r"C:\srv\My.Worker.exe", &[coreclr]);
        assert_eq!((worker.0, worker.1), (Sdk::DotNetV3, version("3.7.402")));
        let clr = r"C:\Windows\Microsoft.NET\Framework64\v4.0.30319\clr.dll";
        let old = host.one("app", r"C:\old\app.exe", &[clr]);
        assert_eq!(old, (Sdk::DotNetV4, None, r"C:\old\AWSSDK.Core.dll".to_owned()));
        let pool = r"C:\Windows\System32\inetsrv\w3wp.exe";
        let shadow = r"C:\inetpub\temp\assembly\dl3\1\AWSSDK.Core.DLL";
        assert_eq!(host.one("w3wp.exe -ap x", pool, &[clr, shadow]).2, shadow);
        assert_eq!(host.one("single", r"C:\old\single.exe", &[]).0, Sdk::DotNetV4);
        assert_eq!(host.found("plain", r"C:\none\plain.exe", &[clr]), (vec![], false));
        assert_eq!(host.found("dotnet web.dll", dotnet, &[]), (vec![], true), "nobody knows where that is");
    }

    #[test]
    fn a_shell_of_powershell_is_known_by_the_tools_that_it_has_loaded_and_not_by_those_it_might() {
        let host = Host::new();
        let modules = r"C:\Program Files\WindowsPowerShell\Modules";
        host.file(&format!(r"{modules}\AWS.Tools.Common\5.0.1\AWS.Tools.Common.psd1"), "");
        let shell = r"C:\Windows\System32\WindowsPowerShell\v1.0\PowerShell.EXE";
        host.file(shell, "MZ");
        let clr = r"C:\Windows\Microsoft.NET\Framework64\v4.0.30319\clr.dll";
        assert_eq!(host.found("powershell", shell, &[clr]), (vec![], false));
        let common = format!(r"{modules}\AWS.Tools.Common\5.0.1\AWS.Tools.Common.dll");
        let core = format!(r"{modules}\AWS.Tools.Common\5.0.1\AWSSDK.Core.dll");
        assert_eq!(
            host.one("powershell", shell, &[clr, &core, &common]),
            (Sdk::PowerShellV5, version("5.0.1"), common)
        );
        let all = r"C:\Program Files\PowerShell\Modules\AWSPowerShell.NetCore\4.1.600\AWSPowerShell.NetCore.dll";
        let told = host.one("pwsh", r"C:\Program Files\PowerShell\7\pwsh.exe", &[all]);
        assert_eq!(told, (Sdk::PowerShellV4, version("4.1.600"), all.to_owned()));
    }

    #[test]
    fn botocore_is_found_where_python_of_windows_looks_for_packages() {
        let host = Host::new();
        let base = r"C:\Python311\python.exe";
        host.file(r"C:\Python311\Lib\site-packages\botocore\__init__.py", "");
        host.file(r"C:\Python311\Lib\site-packages\botocore-1.43.11.dist-info\METADATA", "");
        host.file(r"C:\venv\Lib\site-packages\botocore\__init__.py", "");
        host.file(r"C:\venv\pyvenv.cfg", "home = C:\\Python311\r\ninclude-system-site-packages = false\r\n");
        host.file(r"C:\empty\pyvenv.cfg", "home = C:\\Python311\r\ninclude-system-site-packages = false\r\n");
        host.file(r"C:\open\pyvenv.cfg", "home = C:\\Python311\r\ninclude-system-site-packages = true\r\n");
        host.file(r"C:\Users\u\AppData\Roaming\Python\Python312\site-packages\botocore\__init__.py", "");
        let system = r"C:\Python311\Lib\site-packages\botocore";
        let told = host.one(r"C:\Python311\python.exe app.py", base, &[]);
        assert_eq!(told, (Sdk::Botocore, version("1.43.11"), system.to_owned()));
        let environment = r"C:\venv\Lib\site-packages\botocore";
        assert_eq!(host.one(r"venv\Scripts\python.exe app.py", r"C:\venv\Scripts\PythonW.exe", &[]).2, environment);
        assert_eq!(host.one(r#""C:\venv\Scripts\python.exe" app.py"#, base, &[]).2, environment);
        assert_eq!(host.one("python", r"C:\open\Scripts\python.exe", &[]).2, system);
        let (found, is_partial) = host.found("python", r"C:\empty\Scripts\python.exe", &[]);
        assert!(found.is_empty() && is_partial, "PYTHONPATH may name a folder that nobody sees");
        let own = host.one("python", r"C:\Python312\python3.12.exe", &[]);
        assert_eq!(own.2, r"C:\Users\u\AppData\Roaming\Python\Python312\site-packages\botocore");
        let extension = r"C:\venv\Lib\site-packages\cffi\_cffi.pyd";
        host.file(r"C:\app\embeds.exe", "MZ");
        let library = r"C:\Python311\Python311.dll";
        assert_eq!(host.one("embeds", r"C:\app\embeds.exe", &[library, extension]).2, environment);
    }

    #[test]
    fn the_cli_is_known_by_what_it_brings() {
        let host = Host::new();
        let cli = r"C:\Program Files\Amazon\AWSCLIV2\aws.exe";
        host.file(cli, "MZ");
        host.file(r"C:\Program Files\Amazon\AWSCLIV2\awscli\data\cli.json", "");
        host.file(r"C:\other\aws.exe", "MZ");
        assert_eq!(host.one("aws s3 ls", cli, &[]), (Sdk::Botocore, None, cli.to_owned()));
        assert_eq!(host.found("aws", r"C:\other\aws.exe", &[]), (vec![], false));
    }

    #[test]
    fn java_and_node_are_known_by_what_their_command_lines_name() {
        let host = Host::new();
        let java = r"C:\Program Files\Java\bin\javaw.exe";
        let named = host.one(r#"javaw -cp "C:\app\a.jar;C:\app\sdk-core-2.44.1.jar" Main"#, java, &[]);
        assert_eq!(named, (Sdk::JavaV2, version("2.44.1"), r"C:\app\sdk-core-2.44.1.jar".to_owned()));
        host.file(r"C:\app\lib\aws-core-2.20.1.jar", "");
        assert_eq!(host.one(r"java -cp C:\app\lib\* Main", java, &[]).0, Sdk::JavaV2Legacy);
        host.file(r"C:\app\fat.jar", "PK BOOT-INF/lib/sdk-core-2.44.1.jar");
        assert_eq!(host.one(r"java -jar C:\app\fat.jar", java, &[]).2, r"C:\app\fat.jar");
        let service = host.one("tomcat9", r"C:\tomcat\tomcat9.exe", &[r"C:\jre\jvm.dll", r"C:\x\bundle-2.24.6.jar"]);
        assert_eq!(service.0, Sdk::JavaV2Legacy);
        assert_eq!(host.found("java -jar fat.jar", java, &[]), (vec![], true), "nobody knows where that is");
        let keys = host.told(&facts(r"java -Daws.secretKey=wJalrXUtn Main", java, &[])).unwrap();
        assert!(keys.properties.has("aws.secretKey") && !format!("{keys:?}").contains("wJalr"), "{keys:?}");
        let node = r"C:\Program Files\nodejs\node.exe";
        host.file(r"C:\app\node_modules\@aws-sdk\client-s3\package.json", "{}");
        host.file(r"C:\app\src\main.js", "");
        let modules = host.one(r#""C:\Program Files\nodejs\node.exe" C:\app\src\main.js"#, node, &[]);
        assert_eq!((modules.0, &*modules.2), (Sdk::JsV3, r"C:\app\node_modules\@aws-sdk"));
        assert_eq!(host.found("node main.js", node, &[]), (vec![], true));
    }

    #[test]
    fn native_programs_are_known_by_their_marks_and_the_libraries_they_load() {
        let host = Host::new();
        host.file(r"C:\app\go.exe", "MZ .. dep\tgithub.com/aws/aws-sdk-go-v2\tv1.42.0\th1: ..");
        host.file(r"C:\app\rust.exe", r"MZ .. \aws-config-1.8.0\src\lib.rs ..");
        host.file(r"C:\app\cpp.exe", "MZ");
        host.file(r"C:\app\Skewguard.exe", "MZ .. aws-sdk-cpp/ ..");
        assert_eq!(host.one("go", r"C:\app\go.exe", &[]).0, Sdk::GoV2);
        assert_eq!(host.one("rust", r"C:\app\rust.exe", &[]).1, version("1.8.0"));
        assert_eq!(host.one("cpp", r"C:\app\cpp.exe", &[r"C:\app\AWS-cpp-sdk-core.dll"]).0, Sdk::Cpp);
        assert_eq!(host.found("skewguard run", r"C:\app\Skewguard.exe", &[]), (vec![], false));
    }

    #[test]
    fn what_may_not_be_asked_makes_a_process_partial_and_the_kernel_runs_no_program() {
        let host = Host::new();
        host.file(r"C:\app\go.exe", "MZ .. dep\tgithub.com/aws/aws-sdk-go-v2\tv1.42.0\th1: ..");
        let of_another = ProcessFacts { executable: Some(r"C:\app\go.exe".into()), ..ProcessFacts::default() };
        let process = host.told(&of_another).unwrap();
        assert_eq!((process.command.as_str(), process.found.len(), process.is_partial), ("go.exe", 1, true));
        assert!(process.environment.is_none());
        let hidden = ProcessFacts { are_all_modules: false, ..facts("go", r"C:\app\go.exe", &[]) };
        assert!(host.told(&hidden).unwrap().is_partial);
        assert!(host.told(&facts("gone", r"C:\app\gone.exe", &[])).unwrap().is_partial);
        assert_eq!(host.told(&ProcessFacts::default()), Err(ProcessError::NoProgram(7)));
        let long = facts(&"x ".repeat(MOST_ARGUMENTS + 1), r"C:\app\go.exe", &[]);
        assert!(host.told(&long).unwrap().is_partial);
    }

    #[test]
    fn this_process_is_seen_where_no_proc_is() {
        let own = look(std::process::id(), &mut Cache::default());
        let is_listed = listed().0.contains(&std::process::id());
        match sys::HAS_PROC {
            true => assert_eq!((own, is_listed), (Err(ProcessError::NotFound(std::process::id())), false)),
            false => {
                let program = std::env::current_exe().unwrap();
                assert!(is_listed);
                assert_eq!(own.unwrap().command, file_name(&program));
            }
        }
    }

    #[test]
    fn what_a_stranger_names_leads_to_no_share_and_no_device() {
        let host = Host::new();
        for path in [r"\\server\share\sdk.jar", r"\\.\pipe\a.jar", r"C:\a\NUL.jar", r"\\?\UNC\server\a.jar", "C:a.jar"]
        {
            // Where it were looked for, it would be found missing, and the process be partial for that.
            let view = View::of_drives_below(host.0.path());
            assert!(view.find(Path::new(path)).is_err() && !view.is_dir(Path::new(path)), "{path}");
            assert_eq!(view.absolute(Path::new(path), Some(Path::new("C:/a"))), None, "{path}");
        }
    }

    proptest! {
        #[test]
        fn no_facts_make_it_panic(
            line in r#"(-cp|-jar|"|\\|[a-c:;* ]|C:\\|/){0,30}"#,
            anything: String,
            runtime in 0..6_usize,
            module in r"(C:\\)?[a-z.\\:]{0,20}(jvm|clr|python3|AWSSDK\.Core|site-packages)?(\.dll)?",
        ) {
            let host = Host::new();
            let executable = ["python.exe", "java.exe", "node.exe", "dotnet.exe", "powershell.exe", "app.exe"][runtime];
            for line in [format!("x {line}"), anything] {
                let facts = facts(&line, &format!(r"C:\x\{executable}"), &[&module]);
                prop_assert!(host.told(&facts).is_ok());
            }
        }
    }
}
