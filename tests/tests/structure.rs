//! Which way the agent's parts import one another, and how long a file is, as ARCHITECTURE.md has it.

#![expect(clippy::indexing_slicing, clippy::unwrap_used, reason = "clippy takes what tests share for production code")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// The lines between these are the layers, the one that uses all others first.
const BEGIN: &str = "```layers\n";
const END: &str = "```";
/// A file of more lines than this, without the tests at its foot, has a reason.
const LONGEST: usize = 400;
type Module = Vec<String>;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn architecture() -> String {
    fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap()
}

/// The source files of the agent by their modules, without those that are compiled for tests alone.
fn sources() -> BTreeMap<Module, String> {
    let mut found = BTreeMap::new();
    collect(&root().join("agent/src"), &mut Vec::new(), &mut found);
    let only_for_tests: BTreeSet<Module> = found
        .iter()
        .flat_map(|(module, text): (&Module, &String)| {
            let pieces = text.split("#[cfg(test)]\n").skip(1);
            let names = pieces.filter_map(|piece| {
                let line = piece.lines().next()?.trim();
                let (_, name) = line.strip_suffix(';')?.split_once("mod ")?;
                Some(name.to_owned())
            });
            let names: Vec<_> = names.collect();
            names.into_iter().map(|name| module.iter().cloned().chain([name]).collect::<Module>()).collect::<Vec<_>>()
        })
        .collect();
    found.retain(|module, _| !only_for_tests.iter().any(|test| module.starts_with(test)));
    found.values_mut().for_each(|text| *text = without_tests_and_comments(text));
    found
}

fn collect(folder: &Path, module: &mut Module, found: &mut BTreeMap<Module, String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        if path.is_dir() {
            module.push(name);
            collect(&path, module, found);
            module.pop();
        } else if path.extension().is_some_and(|end| end == "rs") {
            let own = if ["mod", "lib", "main"].contains(&name.as_str()) { vec![] } else { vec![name] };
            let text = fs::read_to_string(&path).unwrap();
            found.entry([module.clone(), own].concat()).or_default().push_str(&text);
        }
    }
}

fn without_tests_and_comments(text: &str) -> String {
    without_tests(text).lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

/// A module of tests stands at the end of its file.
fn without_tests(text: &str) -> &str {
    let tests = text.match_indices("#[cfg(test)]\n").find(|(at, mark)| {
        let next = text[at + mark.len()..].lines().next().unwrap_or_default();
        next.contains("mod ") && next.ends_with('{')
    });
    &text[..tests.map_or(text.len(), |(at, _)| at)]
}

/// Every file of Rust below a folder, by its path from the root, and how many lines it has without the tests at its foot.
fn lengths(folder: &str, found: &mut BTreeMap<String, usize>) {
    for entry in fs::read_dir(root().join(folder)).unwrap() {
        let entry = entry.unwrap();
        let path = format!("{folder}/{}", entry.file_name().to_str().unwrap());
        if entry.path().is_dir() {
            lengths(&path, found);
        } else if path.ends_with(".rs") {
            let text = fs::read_to_string(entry.path()).unwrap();
            found.insert(path, without_tests(&text).lines().count());
        }
    }
}

/// The paths that a text names, from the top of the crate; each brace is unfolded.
fn paths(own: &[String], text: &str) -> BTreeSet<Module> {
    let mut paths = BTreeSet::new();
    for (keyword, base) in [("crate::", &[][..]), ("super::", &own[..own.len().saturating_sub(1)])] {
        for (at, _) in text.match_indices(keyword) {
            let before = text[..at].chars().next_back().unwrap_or(' ');
            if before.is_alphanumeric() || ['_', ':', '$'].contains(&before) {
                continue;
            }
            let (mut base, mut rest) = (base.to_vec(), &text[at + keyword.len()..]);
            while let Some(behind) = rest.strip_prefix("super::") {
                base.pop();
                rest = behind;
            }
            unfold(&base, rest, &mut paths);
        }
    }
    paths
}

/// Adds what a tree of a `use` names, and returns what follows it.
fn unfold<'a>(base: &[String], text: &'a str, paths: &mut BTreeSet<Module>) -> &'a str {
    let text = text.trim_start();
    if let Some(mut rest) = text.strip_prefix('{') {
        loop {
            rest = unfold(base, rest, paths).trim_start();
            match rest.strip_prefix(',') {
                Some(next) => rest = next,
                None => return rest.strip_prefix('}').unwrap_or(rest),
            }
        }
    }
    let end = text.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(text.len());
    let (name, rest) = text.split_at(end);
    let path: Module = base.iter().cloned().chain([name.to_owned()]).collect();
    match rest.strip_prefix("::") {
        Some(next) => unfold(&path, next, paths),
        None => {
            paths.insert(path);
            rest
        }
    }
}

/// Whom each file imports.
fn imports() -> BTreeMap<Module, BTreeSet<Module>> {
    let sources = sources();
    let file = |path: Module| {
        (1..=path.len()).rev().map(|length| path[..length].to_vec()).find(|one| sources.contains_key(one))
    };
    let all = sources.iter().map(|(own, text)| {
        let imported =
            paths(own, text).into_iter().filter_map(file).filter(|other| other != own && !own.starts_with(other));
        (own.clone(), imported.collect())
    });
    all.collect()
}

#[test]
fn each_part_imports_only_what_stands_below_it() {
    let text = architecture();
    let (_, rest) = text.split_once(BEGIN).expect("ARCHITECTURE.md names the layers");
    let lines: Vec<Vec<&str>> =
        rest.split(END).next().unwrap().lines().map(|line| line.split_whitespace().collect()).collect();
    let layer = |part: &str| {
        let found: Vec<_> =
            lines.iter().enumerate().filter(|(_, line)| line.contains(&part)).map(|(at, _)| at).collect();
        let [at] = found[..] else { panic!("ARCHITECTURE.md names {part} on {} lines of its layers", found.len()) };
        at
    };
    let imports = imports();
    let parts: BTreeSet<&str> = imports.keys().filter_map(|module| Some(module.first()?.as_str())).collect();
    let named: BTreeSet<&str> = lines.iter().flatten().copied().collect();
    assert_eq!(named, parts);
    let mut wrong = Vec::new();
    for (module, others) in &imports {
        for other in others {
            if let (Some(one), Some(two)) = (module.first(), other.first())
                && one != two
                && layer(one) >= layer(two)
            {
                wrong.push(format!("{} imports {}", module.join("/"), other.join("/")));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn no_two_files_import_one_another_but_those_that_have_a_reason() {
    let imports = imports();
    let mut reached = imports.clone();
    // Everything that is reached from each, which for some hundred files is soon known.
    loop {
        let next: BTreeMap<Module, BTreeSet<Module>> = reached
            .iter()
            .map(|(own, others)| {
                let further = others.iter().filter_map(|other| reached.get(other)).flatten();
                (own.clone(), others.iter().chain(further).cloned().collect())
            })
            .collect();
        if next == reached {
            break;
        }
        reached = next;
    }
    let text = architecture();
    let mut wrong = Vec::new();
    for (own, others) in &imports {
        for other in others.iter().filter(|other| own < *other) {
            if reached[other].contains(own) {
                let names = [own, other].map(|module| format!("`{}`", module.join("/")));
                // A row of a table names all the files that have one reason.
                if !text.lines().any(|line| line.starts_with('|') && names.iter().all(|name| line.contains(name))) {
                    wrong.push(names.join(" and "));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "these reach one another, and ARCHITECTURE.md gives no reason:\n{}", wrong.join("\n"));
}

#[test]
fn sys_alone_asks_which_platform_this_is() {
    let asks = |text: &str| {
        // Tests may be of what one platform has.
        let production = text.split("#[cfg(test)]").next().unwrap_or_default();
        let production = production.trim_end().trim_end_matches("#[cfg(unix)]");
        let conditions = production.lines().filter(|line| line.contains("cfg(") || line.contains("cfg!("));
        conditions.filter(|line| ["windows", "unix", "target_"].iter().any(|word| line.contains(word))).count() > 0
    };
    let asking: Vec<String> =
        sources().into_iter().filter(|(_, text)| asks(text)).map(|(module, _)| module.join("::")).collect();
    let (inside, outside): (Vec<_>, Vec<_>) =
        asking.iter().partition(|module| *module == "sys" || module.starts_with("sys::"));
    assert!(outside.is_empty(), "{outside:?}");
    assert!(inside.iter().any(|module| *module == "sys"), "{inside:?}");
}

#[test]
fn no_file_is_long_but_those_that_have_a_reason() {
    let mut files = BTreeMap::new();
    ["agent/src", "tests/src", "tests/tests", "tests/benches"].iter().for_each(|folder| lengths(folder, &mut files));
    let long: BTreeSet<&str> =
        files.iter().filter(|(_, lines)| **lines > LONGEST).map(|(path, _)| path.as_str()).collect();
    let text = architecture();
    let (_, table) = text.split_once("Files above 400 lines").expect("ARCHITECTURE.md names the long files");
    let rows = table.lines().skip(2).take_while(|line| line.starts_with('|'));
    // The first column has the files, the second the reason.
    let excused: BTreeSet<&str> = rows
        .filter_map(|row| row.split('|').nth(1))
        .flat_map(|files| files.split('`'))
        .filter(|name| name.ends_with(".rs"))
        .collect();
    assert_eq!(long, excused, "the files that are long, and those that ARCHITECTURE.md gives a reason for");
}

/// Whoever adds a dependency to the agent has to bring the locks of those that use it along: `--locked` refuses them, and
/// it is not asked wherever the agent alone is tested.
#[test]
fn each_lock_has_what_the_agent_depends_on() {
    let manifest = fs::read_to_string(root().join("agent/Cargo.toml")).unwrap();
    let workspace = fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let mut wanted = BTreeSet::new();
    for section in manifest.split("\n[").filter(|section| {
        let head = section.lines().next().unwrap_or_default();
        head == "dependencies]" || head.ends_with(".dependencies]")
    }) {
        let lines = section.lines().skip(1).filter(|line| line.starts_with(|first: char| first.is_ascii_lowercase()));
        wanted.extend(lines.filter_map(|line| line.split(['.', ' ', '=']).next()));
    }
    assert!(["tokio", "nix", "windows-sys"].iter().all(|name| wanted.contains(name)), "{wanted:?}");
    for lock in ["Cargo.lock", "tests/fuzz/Cargo.lock"] {
        let text = fs::read_to_string(root().join(lock)).unwrap();
        let (_, package) = text.split_once("name = \"skewguard\"\n").expect("the agent's entry");
        let (package, _) = package.split_once("\n]").expect("an end of the agent's entry");
        let locked: BTreeSet<&str> =
            package.lines().filter_map(|line| line.trim().strip_prefix('"')?.split(['"', ' ']).next()).collect();
        // The workspace may give a package another name.
        let renamed = |name: &str| {
            let line = workspace.lines().find(|line| line.starts_with(&format!("{name} = ")))?;
            line.split_once("package = \"")?.1.split('"').next()
        };
        let missing: Vec<_> =
            wanted.iter().map(|name| renamed(name).unwrap_or(name)).filter(|name| !locked.contains(name)).collect();
        assert!(
            missing.is_empty(),
            "{lock} lacks {missing:?}: cargo metadata --manifest-path its Cargo.toml adds them"
        );
    }
}

#[test]
fn what_a_use_names_is_found_however_it_is_folded() {
    let own: Module = ["a", "b"].map(str::to_owned).to_vec();
    let text =
        "use super::c::{self, D};\nuse crate::{e::F, g::{h::I, J}};\nfn f() { super::super::k::l(); crate::m::N }";
    let found = paths(&own, text);
    let found: Vec<String> = found.iter().map(|path| path.join("::")).collect();
    for wanted in ["a::c::D", "e::F", "g::h::I", "g::J", "k::l", "m::N"] {
        assert!(found.iter().any(|path| path == wanted), "{wanted}: {found:?}");
    }
}
