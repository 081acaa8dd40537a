//! The AWS SDK of a program for .NET, and the AWS Tools of a shell of PowerShell.

use std::path::{Path, PathBuf};

use super::binary::{DEPENDENCIES, search};
use super::cache::Cache;
use super::layout::Layout;
use super::library::{Found, Library};
use super::text::printable;
use super::view::View;

/// The library on which all of the SDK is built.
const CORE: &str = "AWSSDK.Core.dll";
/// The modules on which the tools for PowerShell are built, or which are all of them.
const MODULES: [&str; 3] = ["AWS.Tools.Common", "AWSPowerShell.NetCore", "AWSPowerShell"];
/// Where modules are for all users, and below the home of one.
const FOR_ALL: [&str; 2] = ["/usr/local/share/powershell/Modules", "/opt/microsoft/powershell/7/Modules"];
const FOR_ONE: &str = ".local/share/powershell/Modules";
/// Options of `dotnet` that are followed by a value of their own.
const WITH_VALUE: &[&str] = &[
    "--additionalprobingpath",
    "--additional-deps",
    "--depsfile",
    "--fx-version",
    "--roll-forward",
    "--runtimeconfig",
];
/// More versions of a module are not looked at.
const MOST_VERSIONS: usize = 64;

/// A program of .NET, and where it looks for libraries.
pub struct Program<'a> {
    /// Its command line.
    pub arguments: &'a [&'a str],
    /// What it runs: `dotnet`, or a file of its own that starts .NET.
    pub executable: Option<&'a Path>,
    /// Where it runs.
    pub working_directory: Option<&'a Path>,
    /// The home of its user.
    pub home: Option<&'a Path>,
    /// The files that it has mapped, among them the libraries that it has loaded.
    pub mapped: &'a [PathBuf],
}

/// Whether an executable of this name runs .NET, or PowerShell, which is made of it.
pub fn is_runtime(program: &str) -> bool {
    matches!(program, "dotnet" | "mono" | "mono-sgen") || is_shell(program)
}

/// Whether it is PowerShell; that of Windows has other names.
fn is_shell(program: &str) -> bool {
    matches!(program, "pwsh" | "powershell" | "powershell_ise")
}

/// The SDK that is loaded, beside the program, or in the list of its libraries. The second is whether all could be read.
pub fn find(view: &View, program: &Program<'_>, cache: &mut Cache) -> (Option<Found>, bool) {
    let layout = view.layout();
    let application = program.application(view);
    let stem = application.as_deref().and_then(Path::file_stem).map(|stem| layout.program(Path::new(stem)));
    if stem.is_some_and(|stem| is_shell(&stem)) {
        // Images of AWS for Windows have them installed, whoever uses them.
        let installed = || program.installed_tools(view).filter(|_| layout == Layout::Unix);
        if let Some(tools) = program.loaded_tools(layout).or_else(installed) {
            return (Some(tools), true);
        }
    }
    let loaded = program.mapped.iter().find(|file| layout.is_named(file, CORE));
    let Some(application) = application else { return (loaded.map(|file| found(file, None)), true) };
    let list = application.with_extension("deps.json");
    let listed = view.open(&list).and_then(|file| Ok((file.metadata()?, file))).ok();
    // The list is short, and says the version.
    let listed = listed
        .map(|(metadata, file)| cache.get(&metadata, || search(&file, DEPENDENCIES, &list.to_string_lossy()).ok()));
    let is_whole = listed.as_ref().is_none_or(Option::is_some);
    if let Some(listed) = listed.flatten().and_then(|found| found.into_iter().next()) {
        return (Some(listed), is_whole);
    }
    let beside = application.parent().map(|folder| folder.join(CORE)).filter(|file| view.open(file).is_ok());
    (loaded.cloned().or(beside).map(|file| found(&file, version_in(&file, "awssdk.core"))), is_whole)
}

fn found(file: &Path, version: Option<String>) -> Found {
    let library = Library::dotnet(version.as_deref());
    Found { library, version, evidence: printable(&file.to_string_lossy()) }
}

/// The version in a path, as the folder below that of a package.
fn version_in(file: &Path, package: &str) -> Option<String> {
    let mut names = file.components().filter_map(|part| part.as_os_str().to_str());
    names.find(|name| name.eq_ignore_ascii_case(package))?;
    names.next().filter(|name| is_version(name)).map(printable)
}

fn is_version(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_digit()) && name.contains('.')
}

impl Program<'_> {
    /// The library of the program itself, or the file that starts it.
    fn application(&self, view: &View) -> Option<PathBuf> {
        let executable = self.executable?;
        let is_host = matches!(&*view.layout().program(executable), "dotnet" | "mono" | "mono-sgen");
        if !is_host {
            return Some(executable.to_owned());
        }
        let mut arguments = self.arguments.iter().skip(1).copied();
        while let Some(argument) = arguments.next() {
            if WITH_VALUE.contains(&argument) {
                arguments.next();
            } else if argument != "exec" && !argument.starts_with('-') {
                return view.absolute(Path::new(argument), self.working_directory);
            }
        }
        None
    }

    /// The tools for PowerShell that are loaded.
    fn loaded_tools(&self, layout: Layout) -> Option<Found> {
        MODULES.into_iter().find_map(|module| {
            let stem = |file: &PathBuf| file.file_stem().and_then(|name| name.to_str()).map(str::to_owned);
            let is_of = |file: &&PathBuf| stem(file).is_some_and(|name| layout.is_same(&name, module));
            Some(tools(self.mapped.iter().find(is_of)?, module))
        })
    }

    /// The tools for PowerShell that a command would load, the newest of them.
    fn installed_tools(&self, view: &View) -> Option<Found> {
        let own = self.home.map(|home| home.join(FOR_ONE));
        let folders: Vec<PathBuf> = own.into_iter().chain(FOR_ALL.map(PathBuf::from)).collect();
        MODULES.into_iter().find_map(|module| {
            let folder = folders.iter().map(|folder| folder.join(module)).find(|folder| view.is_dir(folder))?;
            let names = view.list(&folder).take(MOST_VERSIONS).filter(|name| is_version(name));
            let newest = names.max_by_key(|name| numbers(name));
            Some(tools(&newest.map_or_else(|| folder.clone(), |newest| folder.join(newest)), module))
        })
    }
}

fn tools(path: &Path, module: &str) -> Found {
    let version = version_in(path, module);
    let library = Library::powershell(version.as_deref());
    Found { library, version, evidence: printable(&path.to_string_lossy()) }
}

fn numbers(version: &str) -> Vec<u32> {
    version.split('.').map_while(|part| part.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::aws::sdk::Sdk;

    fn told(root: &Path, executable: &str, arguments: &[&str], mapped: &[&str]) -> Option<(Sdk, Option<String>)> {
        let mapped: Vec<PathBuf> = mapped.iter().map(PathBuf::from).collect();
        let program = Program {
            arguments,
            executable: Some(Path::new(executable)),
            working_directory: Some(Path::new("/srv")),
            home: Some(Path::new("/home/u")),
            mapped: &mapped,
        };
        let (found, is_whole) = find(&View::new(root, 7), &program, &mut Cache::default());
        assert!(is_whole);
        found.map(|found| (found.library.sdk().unwrap(), found.version))
    }

    fn write(root: &Path, path: &str, text: &str) {
        let path = root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    #[test]
    fn the_sdk_is_known_by_the_list_of_libraries_beside_the_program_or_by_what_is_loaded() {
        let root = tempfile::tempdir().unwrap();
        let list = |version: &str| {
            format!("{{\"libraries\": {{\"AWSSDK.Core/{version}\": {{}}, \"AWSSDK.S3/4.0.0\": {{}}}}}}")
        };
        write(root.path(), "srv/app.deps.json", &list("4.0.3.3"));
        write(root.path(), "opt/old/Worker.deps.json", &list("3.7.402"));
        write(root.path(), "opt/bare/AWSSDK.Core.dll", "MZ");
        write(root.path(), "opt/none/app.deps.json", "{}");
        let version = |version: &str| Some(version.to_owned());
        let nuget = "/root/.nuget/packages/awssdk.core/3.7.501.1/lib/net8.0/AWSSDK.Core.dll";
        for (executable, arguments, mapped, expected) in [
            ("/usr/bin/dotnet", vec!["dotnet", "app.dll", "--x"], vec![], Some((Sdk::DotNetV4, version("4.0.3.3")))),
            (
                "/usr/bin/dotnet",
                vec!["dotnet", "exec", "--fx-version", "8.0.1", "/srv/app.dll"],
                vec![],
                Some((Sdk::DotNetV4, version("4.0.3.3"))),
            ),
            ("/opt/old/Worker", vec!["Worker"], vec![], Some((Sdk::DotNetV3, version("3.7.402")))),
            ("/usr/bin/dotnet", vec!["dotnet", "/opt/bare/a.dll"], vec![], Some((Sdk::DotNetV4, None))),
            ("/usr/bin/dotnet", vec!["dotnet", "/opt/none/app.dll"], vec![], None),
            ("/usr/bin/dotnet", vec!["dotnet", "run"], vec![nuget], Some((Sdk::DotNetV3, version("3.7.501.1")))),
            ("/opt/none/app", vec!["app"], vec!["/opt/x/AWSSDK.Core.dll"], Some((Sdk::DotNetV4, None))),
            ("/usr/bin/dotnet", vec!["dotnet", "--info"], vec![], None),
        ] {
            assert_eq!(told(root.path(), executable, &arguments, &mapped), expected, "{arguments:?} {mapped:?}");
        }
    }

    #[test]
    fn a_shell_of_powershell_is_known_by_the_module_that_it_has_loaded_or_would() {
        let root = tempfile::tempdir().unwrap();
        let pwsh = "/opt/microsoft/powershell/7/pwsh";
        let of = |mapped: &[&str]| told(root.path(), pwsh, &["pwsh"], mapped);
        assert_eq!(of(&[]), None);
        assert_eq!(of(&["/home/u/AWSSDK.Core.dll"]), Some((Sdk::DotNetV4, None)), "a script may load the SDK itself");
        let modules = "/usr/local/share/powershell/Modules";
        let loaded = format!("{modules}/AWS.Tools.Common/5.0.9/AWS.Tools.Common.dll");
        let core = format!("{modules}/AWS.Tools.Common/5.0.9/AWSSDK.Core.dll");
        assert_eq!(of(&[&core, &loaded]), Some((Sdk::PowerShellV5, Some("5.0.9".to_owned()))));
        let all = "/home/u/.local/share/powershell/Modules/AWSPowerShell.NetCore/4.1.600/AWSPowerShell.NetCore.dll";
        assert_eq!(of(&[all]), Some((Sdk::PowerShellV4, Some("4.1.600".to_owned()))));
        for version in ["4.1.9", "4.1.600", "4.1.85"] {
            write(root.path(), &format!("{modules}/AWS.Tools.Common/{version}/AWS.Tools.Common.psd1")[1..], "");
        }
        assert_eq!(of(&[]), Some((Sdk::PowerShellV4, Some("4.1.600".to_owned()))));
        write(root.path(), "home/u/.local/share/powershell/Modules/AWS.Tools.Common/5.0.1/AWS.Tools.Common.psd1", "");
        assert_eq!(of(&[]), Some((Sdk::PowerShellV5, Some("5.0.1".to_owned()))), "one's own come first");
        assert_eq!(
            told(root.path(), "/usr/bin/dotnet", &["dotnet", "/opt/x/pwsh.dll"], &[&loaded]),
            Some((Sdk::PowerShellV5, Some("5.0.9".to_owned())))
        );
    }
}
