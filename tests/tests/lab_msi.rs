//! The package for Windows Installer: what is in it, and what it does to a Windows as far as Wine is one. What Wine cannot show
//! (accounts, rights, recovery) is judged by the tables here, and by `deploy/windows/verify.ps1` on a real host.

#![expect(clippy::unwrap_used, reason = "clippy takes what tests share for production code")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use tempfile::TempDir;
use tests::fleet::{dist, python};
use tests::process::{output, private_dir};
use tests::repositories::{copy, damage, workshop};
use tests::wine::{Wine, make_msi, make_stand_in};

const VERSION: &str = env!("CARGO_PKG_VERSION");
/// Before and after any version that is released.
const FORMER: &str = "0.0.1";
const NEXT: &str = "99.0.0";
const SERVICE: &str = r"System\ControlSet001\Services\skewguard";
const EVENTS: &str = r"System\ControlSet001\Services\EventLog\Application\skewguard";
const PRODUCTS: &str = "wine reg query 'HKLM\\SOFTWARE\\Microsoft\\Windows\\CurrentVersion\\Uninstall' /s";
/// Where the program is, below `C:`.
const FOLDER: &str = "Program Files/skewguard";
const DATA: &str = "ProgramData/skewguard";

fn built() -> PathBuf {
    dist().unwrap().join(format!("skewguard-{VERSION}-x86_64.msi"))
}

/// What the zip of the release has, and its date.
struct Stage {
    dir: TempDir,
    date: String,
}

impl Stage {
    fn new() -> Self {
        let dir = private_dir().unwrap();
        let unpack = "import calendar, sys, zipfile
with zipfile.ZipFile(sys.argv[1]) as zipped:
    zipped.extractall(sys.argv[2])
    print(calendar.timegm(zipped.infolist()[0].date_time + (0, 0, 0)))";
        let zip = dist().unwrap().join(format!("skewguard-{VERSION}-x86_64-windows.zip"));
        let date = python(unpack, &[&zip, dir.path()]).unwrap().trim().to_owned();
        Self { dir, date }
    }

    fn folder(&self) -> PathBuf {
        self.dir.path().join(format!("skewguard-{VERSION}-x86_64-windows"))
    }

    /// A package of another version, with a stand-in for the program.
    fn other(&self, version: &str) -> PathBuf {
        let (folder, file) = (self.dir.path().join(version), self.dir.path().join(format!("{version}.msi")));
        copy(&self.folder(), &folder).unwrap();
        make_stand_in(version, &folder.join("skewguard.exe")).unwrap();
        fs::write(folder.join("CHANGELOG.md"), version).unwrap();
        make_msi(&folder, version, &self.date, &file).unwrap();
        file
    }
}

/// The path of a file of this machine on `Z:`.
fn outside(path: &Path) -> String {
    format!("'Z:{}'", path.to_str().unwrap().replace('/', "\\"))
}

/// A table of the package, without its three lines of heads.
fn table(name: &str) -> String {
    let text = output(workshop().unwrap().arg("msiinfo").arg("export").arg(built()).arg(name)).unwrap();
    text.lines().skip(3).map(|line| format!("{}\n", line.trim_end_matches('\r'))).collect()
}

/// The columns of the row of a table that begins so.
fn row(table: &str, first: &str) -> Vec<String> {
    let line = table.lines().find(|line| line.split('\t').next() == Some(first)).unwrap_or_default();
    line.split('\t').map(str::to_owned).collect()
}

// What is in it

#[test]
fn the_same_source_gives_the_same_bytes_and_other_sources_another_code() {
    let stage = Stage::new();
    let again = stage.dir.path().join("again.msi");
    make_msi(&stage.folder(), VERSION, &stage.date, &again).unwrap();
    assert!(fs::read(&again).unwrap() == fs::read(built()).unwrap(), "another package was made of the same zip");
    let code = |file: &Path| {
        let text = output(workshop().unwrap().arg("msiinfo").arg("suminfo").arg(file)).unwrap();
        text.lines().find(|line| line.starts_with("Revision number")).unwrap().to_owned()
    };
    fs::write(stage.folder().join("CHANGELOG.md"), "another").unwrap();
    let other = stage.dir.path().join("other.msi");
    make_msi(&stage.folder(), VERSION, &stage.date, &other).unwrap();
    assert_ne!(code(&other), code(&built()));
}

#[test]
fn the_tables_say_what_wine_does_not_show() {
    let property = table("Property");
    assert_eq!(row(&property, "UpgradeCode")[1], "{72566F4B-6881-5A58-BB7B-7C29F982B648}");
    assert_eq!(row(&property, "ProductVersion")[1], VERSION);
    // A user who repairs what is there may say no more than this: no file and no folder that the system would trust.
    let found = ["FORMERFOLDER", "SERVICESTART", "WINDOWSBUILD", "WIX_DOWNGRADE_DETECTED", "WIX_UPGRADE_DETECTED"];
    let secure: BTreeSet<_> = row(&property, "SecureCustomProperties")[1].split(';').map(str::to_owned).collect();
    assert_eq!(secure, found.into_iter().chain(["PURGE", "STARTSERVICE"]).map(str::to_owned).collect());
    // Kind 16 (a process of its own), start 2 (automatic), error 1 (told, and gone on).
    let service = table("ServiceInstall");
    let service = row(&service, "Service");
    assert_eq!(service[1..6], ["skewguard", "skewguard", "16", "2", "1"], "{service:?}");
    assert!(service.contains(&r"NT SERVICE\skewguard".to_owned()) && service.contains(&"service run".to_owned()));
    let control = table("ServiceControl");
    // 2 + 32 + 128: stopped by an installation and a removal, and removed with the package.
    assert_eq!(row(&control, "Stop")[2..5], ["162", "", "1"], "{control}");
    assert_eq!(control.lines().count(), 1, "{control}");
    let actions = table("CustomAction");
    assert!(row(&actions, "Start")[3].ends_with("start skewguard"), "{actions}");
    let recovery = &row(&actions, "Recovery")[3];
    assert!(recovery.ends_with("failure skewguard reset= 86400 actions= restart/5000/restart/30000/restart/60000"));
    assert!(row(&actions, "RecoveryFlag")[3].ends_with("failureflag skewguard 1"), "{actions}");
    assert_eq!(row(&actions, "Configure")[3], r#""[#skewguard.exe]" service adopt "[CONFIG]""#);
    // What no shell reads, a quotation mark apart, which is refused.
    assert!(actions.lines().all(|line| !(line.contains("cmd.exe") && line.contains("[CONFIG]"))), "{actions}");
    let conditions = table("LaunchCondition");
    assert!(!row(&conditions, "NOT (CONFIG >< QuotationMark)").is_empty(), "{conditions}");
    assert_eq!(row(&property, "QuotationMark")[1], "\"");
    // By the SID that Windows makes of the name of the service.
    let rights = table("MsiLockPermissionsEx");
    let sid = "S-1-5-80-184746282-928372884-1660204080-2447402262-1879892358";
    assert_eq!(
        row(&rights, "State")[3],
        format!("O:BAG:BAD:P(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)(A;OICI;0x1301bf;;;{sid})")
    );
    let installer = "S-1-5-80-956008885-3418522649-1831038044-1853292631-2271478464";
    let program = row(&rights, "Program");
    assert_eq!(program[1..3], ["INSTALLFOLDER", "CreateFolder"]);
    assert_eq!(
        program[3],
        format!("O:BAG:BAD:P(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)(A;OICI;FA;;;{installer})(A;OICI;0x1200a9;;;BU)")
    );
    assert!(table("CreateFolder").contains("INSTALLFOLDER\tProgram"));
    assert!(row(&rights, "Data")[3].starts_with("O:BAG:BAD:P(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)(A;OICI;0x1200a9;;;BU)"));
    // An upgrade takes over what it can before the former version goes.
    let sequence = table("InstallExecuteSequence");
    let at = |name: &str| row(&sequence, name)[2].parse::<u32>().unwrap();
    assert!(at("RemoveExistingProducts") > at("InstallFinalize"), "{sequence}");
    assert!(at("InstallServices") < at("Recovery") && at("Recovery") < at("Start"), "{sequence}");
    assert!(at("AppSearch") < at("LaunchConditions") && at("FindRelatedProducts") < at("LaunchConditions"));
    // A repair leaves the service alone, and what was said of its recovery; it configures nothing.
    let when = |name: &str| row(&sequence, name)[1].clone();
    for name in ["Recovery", "RecoveryFlag"] {
        assert_eq!(when(name), "NOT SERVICESTART AND NOT REMOVE");
    }
    assert!(when("Start").ends_with("AND NOT REINSTALL") && when("StopServices").ends_with("AND NOT REINSTALL"));
    assert!(when("Configure").contains("NOT Installed") && when("KeepFolder").contains("(Installed OR"));
    // What is compared with the version of the one that is there.
    assert_eq!(row(&table("File"), "skewguard.exe")[4], format!("{VERSION}.0"));
}

#[test]
fn a_component_keeps_its_code() {
    let known = [
        ("Data", "{6C173CD2-CDA8-5254-8612-AF9FDBB325C6}"),
        ("Documents", "{3DCA129E-C168-528F-BA6A-769D97220CFB}"),
        ("EventSource", "{6B1E29D5-68C7-5FDC-A388-36D865B8021A}"),
        ("Examples", "{5052A333-8539-5895-A36C-AAF2DF7BBA07}"),
        ("Program", "{169A1B6B-CA3E-5DF8-B449-ED5CE04ACDB7}"),
        ("Remembered", "{606F367A-F249-57E9-BBF4-5F7D52FF5BE6}"),
        ("State", "{378DFDB2-E954-5F71-B5CF-48067CD7E8EF}"),
    ];
    let components = table("Component");
    let mut found: Vec<_> =
        components.lines().map(|line| line.split('\t').collect::<Vec<_>>()).map(|row| (row[0], row[1])).collect();
    found.sort_unstable();
    assert_eq!(found, known);
}

#[test]
fn the_program_needs_windows_alone_and_says_its_version() {
    let stage = Stage::new();
    let program = stage.folder().join("skewguard.exe");
    let told =
        output(workshop().unwrap().args(["x86_64-w64-mingw32-objdump", "--private-headers"]).arg(&program)).unwrap();
    let libraries: Vec<_> = told.lines().filter_map(|line| line.trim().strip_prefix("DLL Name: ")).collect();
    assert!(libraries.iter().any(|name| name.eq_ignore_ascii_case("kernel32.dll")), "{libraries:?}");
    let foreign = ["lib", "mingw", "pthread", "vcruntime"];
    let is_foreign = |name: &&&str| foreign.iter().any(|foreign| name.to_lowercase().contains(foreign));
    assert_eq!(libraries.iter().filter(is_foreign).collect::<Vec<_>>(), Vec::<&&str>::new());
    let bytes = fs::read(&program).unwrap();
    let has = |text: &str| {
        let wide: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
        bytes.windows(wide.len()).any(|window| window == wide)
    };
    assert!(has("ProductVersion") && has(VERSION) && has("skewguard.exe"));
    let here = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_str().unwrap();
    let home = std::env::var("HOME").unwrap();
    for place in [here, &format!("{home}/.cargo"), &format!("{home}/.rustup"), "/usr/src/", "/usr/lib/rustlib"] {
        assert!(!bytes.windows(place.len()).any(|window| window == place.as_bytes()), "{place}");
    }
}

#[test]
fn what_is_signed_is_verified_and_refused_where_it_was_damaged() {
    let dir = private_dir().unwrap();
    let signed = dist().unwrap().join(format!("windows/skewguard-{VERSION}-x86_64.signed.msi"));
    let verify = |file: &Path| {
        let mut verify = workshop().unwrap();
        verify.args(["osslsigncode", "verify", "-CAfile"]).arg(dist().unwrap().join("keys/authenticode.crt"));
        verify.arg("-in").arg(file).output().unwrap().status.success()
    };
    assert!(verify(&signed));
    assert!(!verify(&built()), "it has no signature");
    let damaged = dir.path().join("damaged.msi");
    fs::copy(&signed, &damaged).unwrap();
    damage(&damaged).unwrap();
    assert!(!verify(&damaged));
    // It installs what the other one does.
    let wine = Wine::new().unwrap();
    let (is_done, log) = wine.msiexec(&format!("/i {} STARTSERVICE=0", outside(&signed))).unwrap();
    assert!(is_done && verify(&wine.path(FOLDER).join("skewguard.exe")), "{log}");
}

// What it does

#[test]
fn it_installs_the_program_and_its_service_and_a_removal_leaves_what_is_the_administrators() {
    let wine = Wine::new().unwrap();
    let stage = Stage::new();
    let config = stage.dir.path().join("config.yaml");
    fs::write(&config, "credentials: { imds: { poll: 10m } }\n").unwrap();
    let install = format!("/i {} STARTSERVICE=0 CONFIG={}", outside(&built()), outside(&config));
    for _ in 0..2 {
        let (is_done, log) = wine.msiexec(&install).unwrap();
        assert!(is_done, "{log}");
    }
    let mut files = wine.names(FOLDER).unwrap();
    files.retain(|name| name != "examples");
    let documents = ["CHANGELOG.md", "LICENSE-APACHE", "LICENSE-MIT", "README.md", "THIRD-PARTY-LICENSES"];
    let others = ["skewguard.exe", "skewguard.schema.json", "skewguard.yaml", "verify.ps1"];
    assert_eq!(files, [documents.as_slice(), &others].concat());
    assert!(wine.names(&format!("{FOLDER}/examples")).unwrap().contains(&"minimal.yaml".to_owned()));
    let same =
        |name: &str| fs::read(wine.path(FOLDER).join(name)).unwrap() == fs::read(stage.folder().join(name)).unwrap();
    assert!(same("skewguard.exe") && same("skewguard.yaml"));

    let service = wine.registry(SERVICE).unwrap().unwrap();
    // Windows puts the program between quotes, which Wine does not.
    assert_eq!(service["ImagePath"].replace('"', ""), r"C:\Program Files\skewguard\skewguard.exe service run");
    assert_eq!(service["ObjectName"], r"NT SERVICE\skewguard");
    assert_eq!(
        (&*service["DisplayName"], &*service["Start"], &*service["Type"]),
        ("skewguard", "dword:00000002", "dword:00000010")
    );
    let events = wine.registry(EVENTS).unwrap().unwrap();
    assert!(events["EventMessageFile"].ends_with(r"%SystemRoot%\System32\EventCreate.exe"), "{events:?}");
    assert_eq!(events["TypesSupported"], "dword:00000007");
    let environment = wine.registry(r"System\ControlSet001\Control\Session Manager\Environment").unwrap().unwrap();
    let path = environment.iter().find(|(name, _)| name.eq_ignore_ascii_case("path")).unwrap().1;
    assert!(path.contains(r"C:\Program Files\skewguard"), "{path}");
    let products = wine.run(PRODUCTS).unwrap().stdout;
    assert_eq!(products.matches("DisplayVersion").count(), 1, "{products}");
    assert_eq!(fs::read(wine.path(DATA).join("skewguard.yaml")).unwrap(), fs::read(&config).unwrap());

    fs::write(wine.path(DATA).join("state/state.json"), "{}").unwrap();
    let (is_done, log) = wine.msiexec(&format!("/x {}", outside(&built()))).unwrap();
    assert!(is_done, "{log}");
    assert_eq!(wine.names(FOLDER).unwrap(), Vec::<String>::new());
    assert_eq!((wine.registry(SERVICE).unwrap(), wine.registry(EVENTS).unwrap()), (None, None));
    assert_eq!(wine.names(DATA).unwrap(), ["skewguard.yaml", "state"]);
    // What the service itself has left is there as well: it starts with each Windows.
    assert!(wine.names(&format!("{DATA}/state")).unwrap().contains(&"state.json".to_owned()));
}

#[test]
fn an_upgrade_replaces_the_program_and_nothing_that_is_the_administrators() {
    let (wine, stage) = (Wine::new().unwrap(), Stage::new());
    let config = stage.dir.path().join("config.yaml");
    fs::write(&config, "{}\n").unwrap();
    let former = stage.other(FORMER);
    let (is_done, log) = wine.msiexec(&format!("/i {}", outside(&former))).unwrap();
    assert!(is_done, "{log}");
    fs::write(wine.path(DATA).join("skewguard.yaml"), "mine").unwrap();
    fs::write(wine.path(DATA).join("state/state.json"), "{}").unwrap();
    let upgrade = format!("/i {} STARTSERVICE=0 CONFIG={}", outside(&built()), outside(&config));
    let (is_done, log) = wine.msiexec(&upgrade).unwrap();
    assert!(is_done, "{log}");
    assert!(
        fs::read(wine.path(FOLDER).join("skewguard.exe")).unwrap()
            == fs::read(stage.folder().join("skewguard.exe")).unwrap()
    );
    assert_ne!(fs::read_to_string(wine.path(FOLDER).join("CHANGELOG.md")).unwrap(), FORMER);
    assert_eq!(fs::read_to_string(wine.path(DATA).join("skewguard.yaml")).unwrap(), "mine");
    assert!(wine.path(DATA).join("state/state.json").exists());
    let products = wine.run(PRODUCTS).unwrap().stdout;
    assert!(products.contains(VERSION) && !products.contains(&format!("    {FORMER}")), "{products}");
    assert_eq!(wine.registry(SERVICE).unwrap().unwrap()["Start"], "dword:00000002");

    // With PURGE=1 nothing stays.
    let (is_done, log) = wine.msiexec(&format!("/x {} PURGE=1", outside(&built()))).unwrap();
    assert!(is_done, "{log}");
    assert!(!wine.names("ProgramData").unwrap().contains(&"skewguard".to_owned()));
    assert!(!wine.names("Program Files").unwrap().contains(&"skewguard".to_owned()));
}

#[test]
fn an_older_version_is_refused() {
    let (wine, stage) = (Wine::new().unwrap(), Stage::new());
    let (is_done, log) = wine.msiexec(&format!("/i {} STARTSERVICE=0", outside(&stage.other(NEXT)))).unwrap();
    assert!(is_done, "{log}");
    let (is_done, log) = wine.msiexec(&format!("/i {}", outside(&built()))).unwrap();
    // Wine notes that they are not met, and not what is said of that.
    assert!(!is_done && log.contains("LaunchConditions. Return value 0"), "{log}");
    assert!(table("LaunchCondition").contains("NOT WIX_DOWNGRADE_DETECTED\tA newer version of skewguard is installed"));
    assert_eq!(fs::read_to_string(wine.path(FOLDER).join("CHANGELOG.md")).unwrap(), NEXT);
}

#[test]
fn it_starts_the_service_unless_that_was_disabled_and_an_upgrade_keeps_the_folder() {
    let (wine, stage) = (Wine::new().unwrap(), Stage::new());
    let (former, next) = (stage.other(FORMER), stage.other(NEXT));
    let state = |said: &str| {
        said.lines().filter(|line| line.contains("STATE")).map(|line| line.trim().to_owned()).collect::<Vec<_>>()
    };
    let install = |package: &Path, more: &str, between: &str| {
        let script = format!("wine msiexec /i {} /qn {more} && wine sc query skewguard && {between}", outside(package));
        state(&wine.run(&script).unwrap().succeeded().unwrap().stdout)
    };
    // In one session: at the end of it, Windows is shut down.
    let disable = "wine reg add 'HKLM\\SYSTEM\\CurrentControlSet\\Services\\skewguard' /v Start /t REG_DWORD /d 4 /f";
    let started = install(&former, "INSTALLFOLDER='C:\\elsewhere'", disable);
    assert!(started[0].contains("RUNNING"), "{started:?}");
    let upgraded = install(&next, "", "true");
    assert!(upgraded[0].contains("STOPPED"), "{upgraded:?}");
    assert_eq!(wine.registry(SERVICE).unwrap().unwrap()["Start"], "dword:00000004");
    assert_eq!(fs::read_to_string(wine.path("elsewhere/CHANGELOG.md")).unwrap(), NEXT);
    assert!(!wine.names("Program Files").unwrap().contains(&"skewguard".to_owned()));
}

#[test]
fn a_repair_mends_the_files_and_leaves_the_service_and_the_configuration_alone() {
    let (wine, stage) = (Wine::new().unwrap(), Stage::new());
    let config = stage.dir.path().join("config.yaml");
    fs::write(&config, "{}\n").unwrap();
    let package = stage.other(NEXT);
    let repair = format!(
        "wine msiexec /i {} /qn REINSTALL=ALL REINSTALLMODE=amus INSTALLFOLDER='C:\\strange' CONFIG={}",
        outside(&package),
        outside(&config)
    );
    // Windows is shut down with the last program that is no service.
    let script = format!(
        "mkfifo held && wine cmd /c pause 0<>held >held.out &
        wine msiexec /i {} /qn INSTALLFOLDER='C:\\elsewhere'
        rm \"$WINEPREFIX/drive_c/elsewhere/CHANGELOG.md\"
        {repair} && wine sc query skewguard
        wine net stop skewguard
        {repair} && wine sc query skewguard",
        outside(&package)
    );
    let said = wine.run(&script).unwrap().succeeded().unwrap().stdout;
    let states: Vec<_> = said.lines().filter(|line| line.contains("STATE")).collect();
    assert!(states.len() == 2 && states[0].contains("RUNNING") && states[1].contains("STOPPED"), "{said}");
    assert_eq!(fs::read_to_string(wine.path("elsewhere/CHANGELOG.md")).unwrap(), NEXT);
    assert_eq!(wine.names("strange").unwrap(), Vec::<String>::new());
    assert!(!wine.names(DATA).unwrap().contains(&"skewguard.yaml".to_owned()));
}

#[test]
fn a_configuration_with_a_quotation_mark_is_refused_before_anything_is_done() {
    let (wine, stage) = (Wine::new().unwrap(), Stage::new());
    let package = stage.other(NEXT);
    // Two of them between two are one.
    let install = format!("msiexec /i {} /qn STARTSERVICE=0 CONFIG=\"a\"\" b\" /l*v C:\\log\r\n", outside(&package));
    fs::write(wine.folder().join("install.cmd"), install.replace('\'', "")).unwrap();
    let is_done = wine.run("wine cmd /c install.cmd").unwrap().code == Some(0);
    let log = String::from_utf8_lossy(&fs::read(wine.path("log")).unwrap()).into_owned();
    assert!(log.contains("CONFIG = a\" b"), "{log}");
    assert!(!is_done && log.contains("LaunchConditions. Return value 0"), "{log}");
    assert!(!wine.names("Program Files").unwrap().contains(&"skewguard".to_owned()));
}

#[test]
fn a_service_that_does_not_start_takes_nothing_away() {
    let (wine, stage) = (Wine::new().unwrap(), Stage::new());
    fs::write(stage.folder().join("skewguard.exe"), "no program").unwrap();
    let broken = stage.dir.path().join("broken.msi");
    make_msi(&stage.folder(), VERSION, &stage.date, &broken).unwrap();
    let (is_done, log) = wine.msiexec(&format!("/i {}", outside(&broken))).unwrap();
    assert!(is_done && log.contains("Start"), "{log}");
    assert_eq!(fs::read(wine.path(FOLDER).join("skewguard.exe")).unwrap(), b"no program");
    assert!(wine.registry(SERVICE).unwrap().is_some());
}

#[test]
fn a_configuration_that_is_not_there_fails_the_installation() {
    let wine = Wine::new().unwrap();
    let (is_done, log) =
        wine.msiexec(&format!("/i {} STARTSERVICE=0 CONFIG='C:\\misspelt.yaml'", outside(&built()))).unwrap();
    assert!(!is_done, "{log}");
    assert!(!wine.names(DATA).unwrap().contains(&"skewguard.yaml".to_owned()));
}
