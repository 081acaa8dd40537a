//! The AWS SDKs of a virtual machine of Java.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::binary::{JAR, search};
use super::cache::Cache;
use super::library::{Found, Library};
use super::text::{is_path, printable};
use super::view::View;

/// More names on a class path, and jars that are open or mapped, are not looked at.
const MOST_NAMES: usize = 1_024;
/// More jars are not searched for others within.
const MOST_SEARCHED: usize = 16;

/// The jars of the SDKs: how their names begin, and how their versions do.
const JARS: &[(&str, &str)] = &[
    ("sdk-core-", "2."),
    ("aws-core-", "2."),
    ("bundle-", "2."),
    ("aws-java-sdk-core-", "1."),
    ("aws-java-sdk-bundle-", "1."),
];

/// The SDKs on the class path, and in the files that are open or mapped. The second is whether all could be read.
pub fn find(
    view: &View,
    arguments: &[&str],
    files: impl Iterator<Item = PathBuf>,
    working_directory: Option<&Path>,
    cache: &mut Cache,
) -> (Vec<Found>, bool) {
    // A server holds thousands of files open that are no archives.
    let mut names = class_path(view, arguments, working_directory).chain(files.filter(|file| is_archive(file)));
    let jars: BTreeSet<PathBuf> = names.by_ref().take(MOST_NAMES).filter(|name| is_archive(name)).collect();
    let are_all_named = names.next().is_none();
    let mut found: Vec<Found> = jars.iter().filter_map(|jar| by_name(jar)).collect();
    found.sort();
    found.dedup_by(|one, other| one.library == other.library);
    if !found.is_empty() {
        return (found, are_all_named);
    }
    // The SDK may be within another jar, as Spring Boot and shading have it.
    let mut is_whole = are_all_named && jars.len() <= MOST_SEARCHED;
    for jar in jars.iter().take(MOST_SEARCHED) {
        match within(view, jar, cache) {
            Some(more) => found.extend(more),
            None => is_whole = false,
        }
    }
    (found, is_whole)
}

fn within(view: &View, jar: &Path, cache: &mut Cache) -> Option<Vec<Found>> {
    let file = view.open(jar).ok()?;
    let metadata = file.metadata().ok()?;
    cache.get(&metadata, || search(&file, JAR, &jar.to_string_lossy()).ok())
}

fn is_archive(file: &Path) -> bool {
    is_path(file) && file.extension().is_some_and(|end| end == "jar" || end == "war")
}

/// What the command line names, one by one, with what is in the folders that it names by `*`.
fn class_path(view: &View, arguments: &[&str], working_directory: Option<&Path>) -> impl Iterator<Item = PathBuf> {
    let (paths, jar) = paths(arguments);
    let jar = jar.and_then(|jar| view.absolute(Path::new(jar), working_directory));
    let between = view.layout().between();
    let entries = paths.into_iter().flat_map(move |path| path.split(between)).filter(|entry| !entry.is_empty());
    let entries = entries.filter_map(move |entry| view.absolute(Path::new(entry), working_directory));
    let names = entries.flat_map(|entry| {
        let is_all = entry.file_name().is_some_and(|name| name == "*");
        let folder = entry.parent().filter(|_| is_all).map(Path::to_owned);
        let within = folder.map(|folder| view.list(&folder).map(move |name| folder.join(name)));
        within.into_iter().flatten().chain((!is_all).then_some(entry))
    });
    jar.into_iter().chain(names)
}

/// The class paths and module paths of a command line, and the jar that it runs. What follows that is the program's own.
fn paths<'a>(arguments: &[&'a str]) -> (Vec<&'a str>, Option<&'a str>) {
    let mut paths = Vec::new();
    let mut arguments = arguments.iter().skip(1).copied();
    while let Some(argument) = arguments.next() {
        match argument {
            "-cp" | "-classpath" | "--class-path" | "-p" | "--module-path" => paths.extend(arguments.next()),
            "-jar" => return (paths, arguments.next()),
            argument => paths
                .extend(["--class-path=", "--module-path="].iter().find_map(|option| argument.strip_prefix(option))),
        }
    }
    (paths, None)
}

fn by_name(jar: &Path) -> Option<Found> {
    let name = jar.file_name()?.to_str()?;
    let stem = name.strip_suffix(".jar")?;
    JARS.iter().find_map(|(begin, major)| {
        let version = stem.strip_prefix(begin).filter(|version| version.starts_with(major))?;
        Some(Found {
            library: if *major == "1." { Library::JavaV1 } else { Library::java_v2(Some(version)) },
            version: Some(printable(version)),
            evidence: printable(&jar.to_string_lossy()),
        })
    })
}

#[cfg(test)]
mod tests {
    use std::{fs, iter};

    use super::*;
    use crate::aws::sdk::Sdk;

    fn libraries(root: &Path, arguments: &[&str], files: &[&str]) -> Vec<Library> {
        let files = files.iter().map(PathBuf::from);
        let view = View::new(root, 7);
        let (found, is_whole) = find(&view, arguments, files, Some(Path::new("/srv")), &mut Cache::default());
        assert!(is_whole);
        found.into_iter().map(|found| found.library).collect()
    }

    #[test]
    fn jars_are_known_by_their_names_on_the_class_path_and_among_open_files() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(root.path().join("srv/lib")).unwrap();
        fs::write(root.path().join("srv/lib/sdk-core-2.44.1.jar"), "").unwrap();
        let old = Library::Sdk(Sdk::JavaV2Legacy);
        for (arguments, files, library) in [
            (vec!["java", "-cp", "a.jar:/opt/sdk-core-2.20.1.jar", "Main"], vec![], old),
            (vec!["java", "--class-path=/opt/aws-core-2.20.1.jar", "Main"], vec![], old),
            (vec!["java", "-cp", "lib/*", "Main"], vec![], Library::Sdk(Sdk::JavaV2)),
            (vec!["java", "Main"], vec!["/opt/bundle-2.24.6.jar"], old),
            (vec!["java", "Main"], vec!["/opt/aws-java-sdk-core-1.12.700.jar"], Library::JavaV1),
        ] {
            assert_eq!(libraries(root.path(), &arguments, &files), [library], "{arguments:?} {files:?}");
        }
        assert_eq!(libraries(root.path(), &["java", "-Dx=/opt/sdk-core-2.20.1.jar", "Main"], &[]), []);
        for file in ["/opt/sdk-core-2.20.1.txt", "/opt/my-sdk-core-2.20.1.jar/x", "/opt/sdk-core-2.20.1.jar.bak"] {
            assert_eq!(libraries(root.path(), &["java", "Main"], &[file]), [], "{file}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_jar_that_holds_the_sdk_is_looked_into() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(root.path().join("srv")).unwrap();
        fs::write(root.path().join("srv/app.jar"), "PK\u{3}\u{4} BOOT-INF/lib/sdk-core-2.44.1.jar").unwrap();
        let arguments = ["java", "-jar", "app.jar", "-cp", "/opt/sdk-core-2.20.1.jar"];
        assert_eq!(
            libraries(root.path(), &arguments, &[]),
            [Library::Sdk(Sdk::JavaV2)],
            "the rest is the program's own"
        );
        let (found, is_whole) =
            find(&View::new(root.path(), 7), &["java", "-jar", "gone.jar"], iter::empty(), None, &mut Cache::default());
        assert_eq!((found, is_whole), (vec![], true), "without a working directory it is nowhere");
        let (_, is_whole) = find(
            &View::new(root.path(), 7),
            &["java", "-jar", "/gone.jar"],
            iter::empty(),
            None,
            &mut Cache::default(),
        );
        assert!(!is_whole);
    }

    #[test]
    fn a_class_path_without_end_is_cut_and_says_so() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(root.path().join("srv/lib")).unwrap();
        for number in 0..100 {
            fs::write(root.path().join(format!("srv/lib/{number}.jar")), "").unwrap();
        }
        let view = View::new(root.path(), 7);
        let names = |times: usize| {
            let path = "lib/*:".repeat(times);
            class_path(&view, &["java", "-cp", &path, "Main"], Some(Path::new("/srv"))).take(2_000).count()
        };
        assert_eq!((names(10), names(100)), (1_000, 2_000), "it is told one by one");
        let is_whole = |times: usize, open: usize| {
            let path = format!("/opt/sdk-core-2.44.1.jar:{}", "lib/*:".repeat(times));
            let files = iter::repeat_n(PathBuf::from("/opt/x.jar"), open);
            let files = files.chain(iter::repeat_n(PathBuf::from("socket:[1]"), 5_000));
            let arguments = ["java", "-cp", &path, "Main"];
            let (found, is_whole) = find(&view, &arguments, files, Some(Path::new("/srv")), &mut Cache::default());
            assert_eq!(found.len(), 1);
            is_whole
        };
        assert!(is_whole(10, 23));
        assert!(!is_whole(10, 24));
        assert!(!is_whole(11, 0));
    }
}
