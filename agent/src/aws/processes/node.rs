//! The AWS SDKs of a program for Node.js.

use std::path::{Path, PathBuf};

use super::binary::{SCRIPT, search};
use super::cache::Cache;
use super::library::{Found, Library};
use super::text::printable;
use super::view::View;
use crate::aws::sdk::Sdk;

/// Options that are followed by a value of their own.
const WITH_VALUE: &[&str] = &["-r", "--require", "--import", "--loader", "--experimental-loader", "-C", "--conditions"];
/// How far up `node_modules` are looked for.
const HIGHEST: usize = 32;

/// The SDKs in the folders that `require` looks through, or in the script itself. The second is whether all could be read.
pub fn find(
    view: &View,
    arguments: &[&str],
    working_directory: Option<&Path>,
    cache: &mut Cache,
) -> (Vec<Found>, bool) {
    let script = script(arguments).and_then(|script| view.absolute(Path::new(script), working_directory));
    let beginnings = script.as_deref().and_then(Path::parent).into_iter().chain(working_directory);
    let folders: Vec<PathBuf> = beginnings
        .flat_map(|begin| begin.ancestors().take(HIGHEST))
        .map(|folder| folder.join("node_modules"))
        .collect();
    let mut found: Vec<Found> = [("@aws-sdk", Library::Sdk(Sdk::JsV3)), ("aws-sdk", Library::JsV2)]
        .into_iter()
        .filter_map(|(name, library)| {
            let folder = folders.iter().map(|folder| folder.join(name)).find(|folder| view.is_dir(folder))?;
            Some(Found { library, version: None, evidence: printable(&folder.to_string_lossy()) })
        })
        .collect();
    let Some(script) = script.filter(|_| found.is_empty()) else { return (found, true) };
    // A bundler puts the SDK into the script.
    let within =
        view.open(&script).and_then(|file| Ok((file.metadata()?, file))).ok().and_then(|(metadata, file)| {
            cache.get(&metadata, || search(&file, SCRIPT, &script.to_string_lossy()).ok())
        });
    let is_whole = within.is_some();
    found.extend(within.unwrap_or_default());
    (found, is_whole)
}

fn script<'a>(arguments: &[&'a str]) -> Option<&'a str> {
    let mut arguments = arguments.iter().skip(1);
    while let Some(argument) = arguments.next() {
        if WITH_VALUE.contains(argument) {
            arguments.next();
        } else if matches!(*argument, "-e" | "--eval" | "-p" | "--print") {
            return None;
        } else if !argument.starts_with('-') {
            return Some(argument);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn found(root: &Path, arguments: &[&str]) -> Vec<(Library, String)> {
        let view = View::new(root, 7);
        let (found, _) = find(&view, arguments, Some(Path::new("/srv/app/src")), &mut Cache::default());
        found.into_iter().map(|found| (found.library, found.evidence)).collect()
    }

    #[cfg(unix)]
    #[test]
    fn modules_are_looked_for_upwards_from_the_script() {
        let root = tempfile::tempdir().unwrap();
        for folder in ["srv/app/node_modules/@aws-sdk/client-s3", "opt/old/node_modules/aws-sdk", "opt/none"] {
            fs::create_dir_all(root.path().join(folder)).unwrap();
        }
        let v3 = (Library::Sdk(Sdk::JsV3), "/srv/app/node_modules/@aws-sdk".to_owned());
        assert_eq!(found(root.path(), &["node", "main.js"]), std::slice::from_ref(&v3));
        assert_eq!(
            found(root.path(), &["node", "-r", "dotenv/config", "--inspect", "/srv/app/dist/a/main.js"]),
            std::slice::from_ref(&v3)
        );
        let v2 = (Library::JsV2, "/opt/old/node_modules/aws-sdk".to_owned());
        assert_eq!(found(root.path(), &["node", "/opt/old/main.js"]), [v3, v2]);
    }

    #[cfg(unix)]
    #[test]
    fn a_bundle_holds_the_sdk_itself() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(root.path().join("opt")).unwrap();
        fs::write(root.path().join("opt/bundle.js"), "var a={name:\"@aws-sdk/client-s3\"}").unwrap();
        fs::write(root.path().join("opt/plain.js"), "console.log(1)").unwrap();
        let v3 = (Library::Sdk(Sdk::JsV3), "/opt/bundle.js".to_owned());
        assert_eq!(found(root.path(), &["node", "/opt/bundle.js"]), [v3]);
        assert_eq!(found(root.path(), &["node", "/opt/plain.js"]), []);
        assert_eq!(found(root.path(), &["node", "-e", "/opt/bundle.js"]), []);
    }
}
