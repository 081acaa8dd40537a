//! Which libraries a process can use, by what it runs and what it has loaded.

use std::path::{Path, PathBuf};

use super::binary::{NATIVE, search};
use super::cache::Cache;
use super::environment::Hints;
use super::layout::{Layout, with_slashes};
use super::library::{Found, Library};
use super::python::Interpreter;
use super::text::printable;
use super::view::View;
use super::{dotnet, java, node, python};
use crate::aws::sdk::Sdk;

/// More libraries of one process are not told.
const MOST_FOUND: usize = 64;
/// This program, which holds the marks of all SDKs and signs by what it reads for each request anew.
const OURSELVES: &str = "skewguard";
/// The libraries of C++, and of the Common Runtime on which others are built, as their names begin.
const NATIVE_LIBRARIES: &[&str] =
    &["libaws-cpp-sdk-core.so", "libaws-c-auth.so", "aws-cpp-sdk-core.dll", "aws-c-auth.dll"];

/// A process, and what it can use.
pub struct Running<'a> {
    /// Its arguments.
    pub arguments: &'a [&'a str],
    /// The file that it runs.
    pub executable: Option<PathBuf>,
    /// Where it runs.
    pub working_directory: Option<PathBuf>,
    /// The files that it has mapped.
    pub mapped: Vec<PathBuf>,
    /// Whether these are all.
    pub are_all_mapped: bool,
    /// What its environment says.
    pub hints: &'a Hints,
}

/// The libraries of a process.
pub struct Libraries {
    /// Each of them.
    pub found: Vec<Found>,
    /// Whether all that tells them could be read.
    pub is_whole: bool,
    /// Whether it is a machine of Java, whatever runs in it.
    pub is_java: bool,
}

/// How the libraries are called by which a program embeds a runtime, as their names begin.
struct Embedded {
    java: &'static str,
    dotnet: &'static [&'static str],
    python: &'static str,
}

impl Embedded {
    const fn of(layout: Layout) -> Self {
        match layout {
            Layout::Unix => Self { java: "libjvm.so", dotnet: &["libcoreclr.so"], python: "libpython" },
            Layout::Windows => Self { java: "jvm.dll", dotnet: &["coreclr.dll", "clr.dll"], python: "python3" },
        }
    }
}

/// Looks for the libraries of a process.
pub fn libraries(view: &View, running: Running<'_>, cache: &mut Cache) -> Libraries {
    let Running { arguments, executable, working_directory, mapped, are_all_mapped, hints } = running;
    let layout = view.layout();
    let embedded = Embedded::of(layout);
    let is_readable = executable.is_some() && are_all_mapped;
    let started = arguments.first().map(|program| match layout {
        Layout::Unix => PathBuf::from(program),
        Layout::Windows => with_slashes(program).into(),
    });
    let program = layout.program(executable.as_deref().or(started.as_deref()).unwrap_or(Path::new("")));
    let program = program.as_str();
    let has = |name: &str| mapped.iter().any(|file| layout.begins(file, name));
    let is_java = program == "java" || has(embedded.java);
    let (is_python, is_node) = (python::is_interpreter(program), matches!(program, "node" | "nodejs" | "bun"));
    let (mut found, is_whole) = if program == OURSELVES {
        (Vec::new(), true)
    } else if is_python {
        let interpreter = Interpreter {
            arguments,
            executable: executable.as_deref(),
            working_directory: working_directory.as_deref(),
            hints,
            files: &mapped,
        };
        (python::find(view, &interpreter).into_iter().collect(), true)
    } else if is_java {
        let files = mapped.into_iter().chain(view.open_files());
        java::find(view, arguments, files, working_directory.as_deref(), cache)
    } else if is_node {
        node::find(view, arguments, working_directory.as_deref(), cache)
    } else if dotnet::is_runtime(program) || embedded.dotnet.iter().any(|name| has(name)) {
        let program = dotnet::Program {
            arguments,
            executable: executable.as_deref(),
            working_directory: working_directory.as_deref(),
            home: hints.home.as_deref(),
            mapped: &mapped,
        };
        match dotnet::find(view, &program, cache) {
            (Some(found), is_whole) => (vec![found], is_whole),
            // A program in one file has its libraries in itself.
            (None, _) => native(view, executable.as_deref(), &mapped, cache),
        }
    } else {
        let embedded = has(embedded.python).then(|| python::find_mapped(view, &mapped)).flatten();
        let cli = executable.as_deref().and_then(|executable| python::find_cli(view, executable));
        let (native, is_whole) = native(view, executable.as_deref(), &mapped, cache);
        (cli.into_iter().chain(embedded).chain(native).collect(), is_whole)
    };
    // Windows tells neither variables nor working directories nor open files, any of which may name the folder of an SDK.
    let is_hidden = layout == Layout::Windows
        && found.is_empty()
        && (is_java || is_python || is_node || (program == "dotnet" && arguments.len() > 1));
    let are_all_kept = found.len() <= MOST_FOUND;
    found.truncate(MOST_FOUND);
    Libraries { found, is_whole: is_whole && is_readable && are_all_kept && !is_hidden, is_java }
}

/// What an executable holds, and the libraries of C++ that it has loaded.
fn native(view: &View, executable: Option<&Path>, mapped: &[PathBuf], cache: &mut Cache) -> (Vec<Found>, bool) {
    let inside = executable.and_then(|executable| {
        let file = view.executable().or_else(|_| view.open(executable)).ok()?;
        let metadata = file.metadata().ok()?;
        cache.get(&metadata, || search(&file, NATIVE, &executable.to_string_lossy()).ok())
    });
    let is_whole = inside.is_some();
    let mut found = inside.unwrap_or_default();
    let is_library = |file: &&PathBuf| NATIVE_LIBRARIES.iter().any(|name| view.layout().begins(file, name));
    if let Some(library) = mapped.iter().find(is_library) {
        let cpp = Library::Sdk(Sdk::Cpp);
        if found.iter().all(|known| known.library != cpp) {
            found.push(Found { library: cpp, version: None, evidence: printable(&library.to_string_lossy()) });
        }
    }
    (found, is_whole)
}
