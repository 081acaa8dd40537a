//! Finds SDKs in executables and archives by what their builds leave in them.

use std::io::{self, Read};

use memchr::memmem::Finder;

use super::library::{Found, Library};
use super::text::printable;
use crate::aws::sdk::Sdk;

/// How much is read at once.
const BUFFER: usize = 256 * 1024;
/// A mark and the version behind it are shorter than this.
const REACH: usize = 128;
/// The longest version.
const LONGEST_VERSION: usize = 24;

/// What a build leaves in a file.
pub struct Mark {
    text: &'static str,
    version: Version,
    library: fn(Option<&str>) -> Library,
}

/// Whether a version follows a mark.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Version {
    /// It need not.
    None,
    /// It must, and this must follow it.
    Before(&'static str),
}

const fn mark(text: &'static str, version: Version, library: fn(Option<&str>) -> Library) -> Mark {
    Mark { text, version, library }
}

/// What native executables have: Go keeps its modules, Rust the paths of its crates, C++ its user agent, and a program of .NET in
/// one file the list of what is in it.
pub const NATIVE: &[Mark] = &[
    mark("github.com/aws/aws-sdk-go-v2@v", Version::Before(""), Library::go_v2),
    mark("github.com/aws/aws-sdk-go-v2\tv", Version::Before(""), Library::go_v2),
    mark("github.com/aws/aws-sdk-go@v", Version::Before(""), |_| Library::GoV1),
    mark("github.com/aws/aws-sdk-go\tv", Version::Before(""), |_| Library::GoV1),
    mark("aws-config-", Version::Before("/"), |_| Library::Sdk(Sdk::Rust)),
    mark("aws-runtime-", Version::Before("/"), |_| Library::Sdk(Sdk::Rust)),
    mark("aws-config-", Version::Before("\\"), |_| Library::Sdk(Sdk::Rust)),
    mark("aws-runtime-", Version::Before("\\"), |_| Library::Sdk(Sdk::Rust)),
    mark("aws-sdk-cpp/", Version::None, |_| Library::Sdk(Sdk::Cpp)),
    mark("\"AWSSDK.Core/", Version::Before("\""), Library::dotnet),
    mark("AWSSDK.Core.dll", Version::None, Library::dotnet),
];

/// What a list of the libraries of a program of .NET (`*.deps.json`) has.
pub const DEPENDENCIES: &[Mark] = &[mark("\"AWSSDK.Core/", Version::Before("\""), Library::dotnet)];

/// What jars have that hold other jars, or the classes of others: the names of entries are not compressed.
pub const JAR: &[Mark] = &[
    mark("/sdk-core-", Version::Before(".jar"), Library::java_v2),
    mark("/aws-core-", Version::Before(".jar"), Library::java_v2),
    mark("/aws-java-sdk-core-", Version::Before(".jar"), |_| Library::JavaV1),
    mark("software/amazon/awssdk/core/", Version::None, Library::java_v2),
    mark("com/amazonaws/auth/", Version::None, |_| Library::JavaV1),
];

/// What a script of Node.js has that requires the SDK, or holds it.
pub const SCRIPT: &[Mark] = &[mark("@aws-sdk/", Version::None, |_| Library::Sdk(Sdk::JsV3))];

/// Searches a file from its beginning to its end, with the same memory for all sizes. Each library is told once, with its
/// version where there is one. `name` is the evidence.
///
/// # Errors
/// Those of reading it.
pub fn search(mut file: impl Read, marks: &[Mark], name: &str) -> io::Result<Vec<Found>> {
    let finders: Vec<(&Mark, Finder<'_>)> = marks.iter().map(|mark| (mark, Finder::new(mark.text))).collect();
    let mut found: Vec<Found> = Vec::new();
    let mut buffer = vec![0; BUFFER];
    let mut kept = 0;
    loop {
        let read = match file.read(buffer.get_mut(kept..).unwrap_or_default()) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            read => read?,
        };
        let filled = kept + read;
        let bytes = buffer.get(..filled).unwrap_or_default();
        // What begins in the last bytes may go on in the next ones, and is looked at with them.
        let end = if read == 0 { filled } else { filled.saturating_sub(REACH) };
        for (mark, finder) in &finders {
            let places = finder.find_iter(bytes).take_while(|place| *place < end);
            let behind = |place| bytes.get(place + mark.text.len()..).unwrap_or_default();
            places.filter_map(|place| mark.read(behind(place), name)).for_each(|one| keep(&mut found, one));
        }
        if read == 0 {
            return Ok(found);
        }
        buffer.copy_within(end..filled, 0);
        kept = filled - end;
    }
}

/// A version tells more than none, and the first one is as good as another.
fn keep(found: &mut Vec<Found>, one: Found) {
    match found.iter_mut().find(|known| is_alike(known.library, one.library)) {
        Some(known) if known.version.is_none() && one.version.is_some() => *known = one,
        Some(_) => {}
        None => found.push(one),
    }
}

/// Whether one is the other of another age.
fn is_alike(one: Library, other: Library) -> bool {
    let ageless = |library| match library {
        Library::Sdk(Sdk::JavaV2Legacy) => Library::java_v2(None),
        Library::Sdk(Sdk::GoV2Legacy) => Library::go_v2(None),
        Library::Sdk(Sdk::DotNetV3) => Library::dotnet(None),
        library => library,
    };
    ageless(one) == ageless(other)
}

impl Mark {
    /// What the mark means where these bytes follow it; `None` where they are none that could.
    fn read(&self, behind: &[u8], name: &str) -> Option<Found> {
        let version = match self.version {
            Version::None => None,
            Version::Before(end) => Some(version(behind, end)?),
        };
        let library = (self.library)(version.as_deref());
        Some(Found { library, version, evidence: printable(name) })
    }
}

/// The version at the beginning of some bytes, which ends before `end`.
fn version(bytes: &[u8], end: &str) -> Option<String> {
    let is_of_version = |byte: &&u8| byte.is_ascii_digit() || **byte == b'.';
    let length = bytes.iter().take(LONGEST_VERSION).take_while(is_of_version).count();
    let text = std::str::from_utf8(bytes.get(..length)?).ok()?;
    let text = text.trim_end_matches('.');
    let is_version = text.starts_with(|c: char| c.is_ascii_digit()) && text.contains('.');
    (is_version && bytes.get(text.len()..)?.starts_with(end.as_bytes())).then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Gives a few bytes at a time, as a slow disk might.
    struct Trickle<'a>(&'a [u8], usize);

    impl Read for Trickle<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let step = self.1.min(buffer.len());
            self.0.read(&mut buffer[..step])
        }
    }

    fn found(bytes: &[u8], marks: &[Mark]) -> Vec<(Library, Option<String>)> {
        search(bytes, marks, "app").unwrap().into_iter().map(|found| (found.library, found.version)).collect()
    }

    #[test]
    fn builds_are_known_by_what_they_leave() {
        for (text, library, version) in [
            ("dep\tgithub.com/aws/aws-sdk-go-v2\tv1.30.3\th1:", Library::Sdk(Sdk::GoV2Legacy), Some("1.30.3")),
            ("/root/go/pkg/mod/github.com/aws/aws-sdk-go-v2@v1.42.0/aws/", Library::Sdk(Sdk::GoV2), Some("1.42.0")),
            ("dep\tgithub.com/aws/aws-sdk-go\tv1.55.5\th1:", Library::GoV1, Some("1.55.5")),
            ("/registry/src/index-1/aws-config-1.8.0/src/lib.rs", Library::Sdk(Sdk::Rust), Some("1.8.0")),
            (r"\registry\src\index-1\aws-config-1.8.0\src\lib.rs", Library::Sdk(Sdk::Rust), Some("1.8.0")),
            ("aws-sdk-cpp/%s", Library::Sdk(Sdk::Cpp), None),
            ("\u{f}AWSSDK.Core.dll\u{3}", Library::Sdk(Sdk::DotNetV4), None),
            ("AWSSDK.Core.dll .. \"AWSSDK.Core/3.7.402.18\": {", Library::Sdk(Sdk::DotNetV3), Some("3.7.402.18")),
        ] {
            assert_eq!(found(text.as_bytes(), NATIVE), [(library, version.map(str::to_owned))], "{text}");
        }
        for (text, library, version) in [
            ("BOOT-INF/lib/sdk-core-2.20.1.jar", Library::Sdk(Sdk::JavaV2Legacy), Some("2.20.1")),
            ("shaded/software/amazon/awssdk/core/SdkClient.class", Library::Sdk(Sdk::JavaV2), None),
            ("WEB-INF/lib/aws-java-sdk-core-1.12.700.jar", Library::JavaV1, Some("1.12.700")),
        ] {
            assert_eq!(found(text.as_bytes(), JAR), [(library, version.map(str::to_owned))], "{text}");
        }
    }

    #[test]
    fn what_only_looks_alike_is_not_found() {
        let text = b"github.com/aws/aws-sdk-go-v2/config\tv1.27.0 aws-config-1.8 aws-config-x/ aws-runtime- github.com/aws/aws-sdk-go";
        assert_eq!(found(text, NATIVE), []);
        assert_eq!(found(b"/sdk-core-2.jar /sdk-core-2.20.1.pom", JAR), []);
    }

    #[test]
    fn a_version_is_preferred_to_none_and_one_library_is_told_once() {
        let text = b"software/amazon/awssdk/core/ ... lib/sdk-core-2.20.1.jar ... lib/sdk-core-2.44.0.jar";
        assert_eq!(found(text, JAR), [(Library::Sdk(Sdk::JavaV2Legacy), Some("2.20.1".to_owned()))]);
    }

    proptest! {
        #[test]
        fn a_mark_is_found_wherever_it_stands_and_however_it_is_read(
            before in prop_oneof![0_usize..400, BUFFER - 300..BUFFER + 300, 2 * BUFFER - 400..2 * BUFFER + 300],
            step in prop_oneof![Just(BUFFER), 1_000_usize..5_000, Just(4_096_usize)],
            after in 0_usize..300,
        ) {
            let mut bytes = vec![b'.'; before];
            bytes.extend_from_slice(b"github.com/aws/aws-sdk-go-v2@v1.30.3/");
            bytes.extend(std::iter::repeat_n(b'.', after));
            let found = search(Trickle(&bytes, step), NATIVE, "app").unwrap();
            let expected =
                Found { library: Library::Sdk(Sdk::GoV2Legacy), version: Some("1.30.3".to_owned()), evidence: "app".to_owned() };
            prop_assert_eq!(found, vec![expected]);
        }

        #[test]
        fn no_bytes_make_it_panic(bytes: Vec<u8>, index in 0..NATIVE.len()) {
            let mut marked = NATIVE[index].text.as_bytes().to_vec();
            marked.extend(bytes);
            search(marked.as_slice(), NATIVE, "app").unwrap();
        }
    }
}
