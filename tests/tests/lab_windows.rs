//! What is shipped for Windows as text: no PowerShell runs here, so that a parser reads each script, as it is and where it stands
//! in another file; the manifests are judged by what winget and Chocolatey want.

#![expect(clippy::unwrap_used, reason = "clippy takes what tests share for production code")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;
use tests::fleet::{self, base64, dist, filled, python, shipped, sum, sums, yaml};
use tests::process::private_dir;

const VERSION: &str = env!("CARGO_PKG_VERSION");

// PowerShell

/// Tells each error of a script's syntax, of several scripts.
const PARSE: &str = r#"
import sys, tree_sitter, tree_sitter_powershell
parser = tree_sitter.Parser(tree_sitter.Language(tree_sitter_powershell.language()))
def errors(node):
    if node.is_error or node.is_missing:
        yield node
    elif node.has_error:
        for child in node.children:
            yield from errors(child)
for path in sys.argv[1:]:
    text = open(path, "rb").read()
    for node in errors(parser.parse(text).root_node):
        print(f"{path}:{node.start_point[0] + 1}: {text[node.start_byte:node.end_byte][:80]!r}")
"#;

/// The errors of a text.
fn errors(text: &str) -> String {
    let dir = private_dir().unwrap();
    let file = dir.path().join("script.ps1");
    fs::write(&file, text).unwrap();
    python(PARSE, &[&file]).unwrap()
}

/// Every script below `deploy`.
fn scripts() -> Vec<PathBuf> {
    fn collect(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                collect(&path, found);
            } else if path.extension().is_some_and(|end| end == "ps1") {
                found.push(path);
            }
        }
    }
    let mut found = Vec::new();
    collect(&fleet::path(""), &mut found);
    found.sort();
    assert!(found.len() > 8, "{found:?}");
    found
}

/// What newer versions of PowerShell know, and 5.1 does not.
const NEWER: [&str; 7] = [" && ", " || ", "??", " ? ", "?.", "-Parallel", "#requires -PSEdition Core"];

#[test]
fn each_script_has_the_syntax_of_powershell_51() {
    let scripts = scripts();
    let paths: Vec<&Path> = scripts.iter().map(PathBuf::as_path).collect();
    assert_eq!(python(PARSE, &paths).unwrap(), "");
    assert!(errors("if ($true) { Write-Output 'open'").contains("script.ps1"));
    for path in &scripts {
        let text = fs::read_to_string(path).unwrap();
        // What Windows PowerShell takes for the code page of the host.
        assert!(text.is_ascii(), "{}", path.display());
        let code: Vec<_> = text.lines().filter(|line| !line.trim_start().starts_with('#')).collect();
        for newer in NEWER {
            let found: Vec<_> =
                code.iter().filter(|line| line.contains(newer) && !line.contains("/d /c")).copied().collect();
            assert_eq!(found, Vec::<&str>::new(), "{}", path.display());
        }
        assert!(text.contains("$ErrorActionPreference = 'Stop'"), "{}", path.display());
        // Chocolatey's own functions are not made for it.
        let is_strict = text.contains("Set-StrictMode -Version 2.0") || path.to_str().unwrap().contains("chocolatey");
        assert!(is_strict, "{}", path.display());
        assert!(!text.contains("Invoke-Expression"), "{}", path.display());
    }
}

#[test]
fn nothing_but_the_switch_for_it_sets_a_clock() {
    for path in scripts() {
        let text = fs::read_to_string(&path).unwrap();
        let setting = ["Set-Date", "w32tm.exe /resync", "w32tm.exe /config", "Set-TimeZone"];
        let found: Vec<_> =
            text.match_indices("Set-Date").chain(setting.iter().flat_map(|one| text.match_indices(one))).collect();
        if path.ends_with("windows/verify.ps1") {
            let (before, within) = text.split_once("if ($SetClock) {").unwrap();
            assert!(!before.contains("Set-Date -Adjust") && within.matches("Set-Date -Adjust").count() == 2, "{text}");
        } else {
            assert_eq!(found.len(), 0, "{}", path.display());
        }
    }
}

/// Every script below `deploy`, and every file that has one in it.
fn texts() -> Vec<(PathBuf, String)> {
    let within = ["aws/ssm/command.yaml", "aws/user-data/windows.txt", "aws/cloudformation-windows.yaml"];
    let paths = scripts().into_iter().chain(within.iter().map(|name| fleet::path(name)));
    paths.map(|path| (path.clone(), fs::read_to_string(path).unwrap())).collect()
}

#[test]
fn what_the_system_runs_or_writes_in_temp_has_a_name_that_nobody_can_guess() {
    for (path, text) in texts() {
        let lines: Vec<_> =
            text.lines().filter(|line| line.contains("Temp\\") && !line.trim().starts_with('#')).collect();
        for line in lines {
            assert!(line.contains("[guid]::NewGuid()"), "{}: {line}", path.display());
        }
        assert!(!text.contains("skewguard-$PID"), "{}", path.display());
    }
}

#[test]
fn a_folder_of_a_stranger_is_refused_and_gets_all_of_its_rights_at_once() {
    let mut protecting = 0;
    for (path, text) in texts() {
        // What icacls grants leaves what others were granted before.
        assert!(!text.contains("/grant") && !text.contains("/inheritance"), "{}", path.display());
        for within in text.split("\n").filter(|line| line.contains("Set-Acl")) {
            let (before, _) = text.split_once(within).unwrap();
            let made =
                before.rfind("SetSecurityDescriptorSddlForm(\"O:BAG:BAD:P(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)").unwrap();
            assert!(before[made..].contains("Assert-Ours $Path"), "{}", path.display());
            protecting += 1;
        }
        if let Some((_, function)) = text.split_once("function Assert-Ours") {
            let (leads, owner) = (function.find("ReparsePoint"), function.find("GetOwner"));
            assert!(leads.is_some() && leads < owner, "{}", path.display());
        }
    }
    assert_eq!(protecting, 5);
}

#[test]
fn the_new_program_reads_the_configuration_before_anything_is_stopped_or_replaced() {
    let text = shipped("windows/install.ps1").unwrap();
    let at = |what: &str| text.find(what).unwrap();
    let checked = at("(Join-Path $PSScriptRoot 'skewguard.exe') @('config', 'check'");
    for what in ["Stop-Service", "Copy-Item", "New-ProtectedFolder $data", "'service', 'install'"] {
        assert!(checked < at(what), "{what}");
    }
}

// Into a fleet on AWS

/// The part of a text between two marks.
fn between<'a>(text: &'a str, begin: &str, end: &str) -> &'a str {
    text.split_once(begin).unwrap().1.split_once(end).unwrap().0
}

#[test]
fn user_data_is_a_script_that_runs_once_and_not_too_large() {
    let configuration = base64(b"credentials: { imds: { poll: 10m } }\n").unwrap();
    let values = [("RELEASE", "s3://lab/skewguard"), ("SUM", &*"0".repeat(64)), ("CONFIGURATION", &*configuration)];
    let text = filled("aws/user-data/windows.txt", &values).unwrap();
    assert!(
        text.starts_with("<powershell>\n") && text.ends_with("</powershell>\n<persist>false</persist>\n"),
        "{text}"
    );
    assert!(text.len() < 16 << 10, "{}", text.len());
    let script = between(&text, "<powershell>\n", "</powershell>");
    assert_eq!(errors(script), "");
    assert!(script.contains("$env:SKEWGUARD_ACTION = 'install'") && script.contains("exit $code"));
}

#[test]
fn the_command_document_has_the_same_for_windows_as_for_linux() {
    let document = yaml(&shipped("aws/ssm/command.yaml").unwrap()).unwrap();
    let steps: Vec<_> = document["mainSteps"].as_array().unwrap().iter().collect();
    let of = |platform: &str| -> Vec<&Value> {
        let is_of = |step: &&&Value| step["precondition"]["StringEquals"][1] == platform;
        steps.iter().filter(is_of).copied().collect()
    };
    let (linux, windows) = (of("Linux"), of("Windows"));
    assert_eq!((linux.len(), windows.len(), steps.len()), (2, 2, 4));
    let named = |step: &Value| -> BTreeSet<String> {
        let text = step["inputs"]["runCommand"][0].as_str().unwrap();
        text.split("{{ ").skip(1).map(|rest| rest.split_once(" }}").unwrap().0.to_owned()).collect()
    };
    for (linux, windows) in linux.iter().zip(&windows) {
        assert_eq!(windows["action"], "aws:runPowerShellScript");
        assert_eq!(linux["inputs"]["timeoutSeconds"], windows["inputs"]["timeoutSeconds"]);
        let script = windows["inputs"]["runCommand"][0].as_str().unwrap();
        assert_eq!(errors(script), "");
        // Each stands in a word that no value of its pattern can end: see lab_aws.
        for name in named(windows) {
            assert!(script.contains(&format!("'{{{{ {name} }}}}'")), "{name}: {script}");
        }
    }
    // A repository is one of Linux.
    let of_linux_alone = BTreeSet::from(["Key".to_owned(), "Repository".to_owned()]);
    assert_eq!(named(linux[0]).difference(&named(windows[0])).cloned().collect::<BTreeSet<_>>(), of_linux_alone);
    assert_eq!(named(linux[1]), named(windows[1]));
}

#[test]
fn the_stack_hears_of_each_instance_what_the_gate_has_found() {
    let template = fleet::path("aws/cloudformation-windows.yaml");
    let user_data = fleet::stack(&template).unwrap();
    let script = between(&user_data, "<powershell>\n", "</powershell>");
    assert_eq!(errors(script), "");
    assert!(
        script.contains("$env:SKEWGUARD_RELEASE = 's3://lab/skewguard'") && script.contains(&sums().unwrap()),
        "{script}"
    );
    let configuration = between(script, "$env:SKEWGUARD_CONFIGURATION = '", "'");
    assert_eq!(configuration, base64(b"telemetry: { otlp: { endpoint: \"http://127.0.0.1:4318\" } }").unwrap().trim());
    // What is installed is a process of its own, whose exit code is told.
    let inner = between(script, "@'\n", "\n'@");
    assert_eq!(errors(inner), "");
    assert!(inner.contains("exit $code") && !inner.contains("\n'@"));
    let (_, told) = script.split_once("\n'@\n").unwrap();
    assert!(told.contains("$code = $LASTEXITCODE\n"), "{told}");
    assert!(told.contains("--exit-code $code --stack 'fleet' --resource Group --region 'eu-central-1'"), "{told}");
}

#[test]
fn distributor_finds_the_package_for_windows_and_it_has_what_is_called() {
    let folder = dist().unwrap().join("ssm-distributor");
    let manifest: Value = serde_json::from_slice(&fs::read(folder.join("manifest.json")).unwrap()).unwrap();
    let name = manifest["packages"]["windows"]["_any"]["x86_64"]["file"].as_str().unwrap();
    assert_eq!(manifest["files"][name]["checksums"]["sha256"], sum(&folder.join(name)).unwrap());
    let list = "import sys, zipfile; print(*sorted(zipfile.ZipFile(sys.argv[1]).namelist()), sep='\\n')";
    let names = python(list, &[&folder.join(name)]).unwrap();
    let package = format!("skewguard-{VERSION}-x86_64.msi");
    let wanted = ["SHA256SUMS", "host.ps1", "install.ps1", &package, "uninstall.ps1", "update.ps1"];
    assert_eq!(names.lines().collect::<Vec<_>>(), wanted);
}

// Those who offer it

/// A manifest of winget, of the release.
fn manifest(kind: &str) -> Value {
    let name = dist().unwrap().join(format!("winget/skewguard.skewguard{kind}.yaml"));
    yaml(&fs::read_to_string(name).unwrap()).unwrap()
}

#[test]
fn the_manifests_of_winget_are_three_of_one_version_and_name_the_package_of_the_release() {
    // What the schemas of 1.6.0 demand.
    let demanded: [(&str, &str, &[&str]); 3] = [
        ("", "version", &["DefaultLocale"]),
        (".installer", "installer", &["Installers"]),
        (
            ".locale.en-US",
            "defaultLocale",
            &["PackageLocale", "Publisher", "PackageName", "License", "ShortDescription"],
        ),
    ];
    for (kind, told, keys) in demanded {
        let manifest = manifest(kind);
        assert_eq!(manifest["PackageIdentifier"], "skewguard.skewguard");
        assert_eq!(manifest["PackageVersion"], VERSION);
        assert_eq!((&manifest["ManifestType"], &manifest["ManifestVersion"]), (&told.into(), &"1.6.0".into()));
        for key in keys {
            assert!(!manifest[*key].is_null(), "{kind}: {key}");
        }
    }
    let installer = manifest(".installer");
    let package = format!("skewguard-{VERSION}-x86_64.msi");
    let only = &installer["Installers"][0];
    assert_eq!(only["Architecture"], "x64");
    assert_eq!(only["InstallerSha256"].as_str().unwrap().to_lowercase(), sum(&dist().unwrap().join(&package)).unwrap());
    assert!(only["InstallerUrl"].as_str().unwrap().ends_with(&format!("/v{VERSION}/{package}")));
    assert_eq!(installer["InstallerType"], "wix");
    let code = installer["ProductCode"].as_str().unwrap();
    assert!(code.len() == 38 && code.starts_with('{') && code.to_uppercase() == code, "{code}");
    assert!(manifest(".locale.en-US")["ShortDescription"].as_str().unwrap().len() <= 256);
    // Those that are signed are offered by manifests of their own.
    let signed = dist().unwrap().join("windows");
    let text = fs::read_to_string(signed.join("winget/skewguard.skewguard.installer.yaml")).unwrap();
    let package = signed.join(format!("skewguard-{VERSION}-x86_64.signed.msi"));
    assert!(text.to_lowercase().contains(&sum(&package).unwrap()) && text.contains(".signed.msi\""), "{text}");
}

#[test]
fn the_package_of_chocolatey_is_well_formed_and_has_nothing_left_to_fill_in() {
    let folder = dist().unwrap().join("chocolatey");
    let read = |name: &str| fs::read_to_string(folder.join(name)).unwrap();
    let parse = "import sys, xml.etree.ElementTree as e
metadata = e.parse(sys.argv[1]).getroot()[0]
print({child.tag.rpartition('}')[2]: child.text for child in metadata}['version'])";
    assert_eq!(python(parse, &[&folder.join("skewguard.nuspec")]).unwrap().trim(), VERSION);
    let install = read("tools/chocolateyinstall.ps1");
    let package = format!("skewguard-{VERSION}-x86_64.msi");
    assert!(install.to_lowercase().contains(&sum(&dist().unwrap().join(&package)).unwrap()), "{install}");
    assert!(install.contains(&format!("/v{VERSION}/{package}'")), "{install}");
    for name in ["skewguard.nuspec", "tools/chocolateyinstall.ps1", "tools/chocolateyuninstall.ps1"] {
        assert!(
            !read(name).contains("@URL@") && !read(name).contains("@SUM@") && !read(name).contains("@VERSION@"),
            "{name}"
        );
    }
}
