//! The folders in which tools keep what they were handed out, a JSON document each.

use std::marker::PhantomData;
use std::path::{Path, PathBuf};

use async_trait::async_trait;

use super::Provider;
use super::file::{self, Folder, SMALL};
use super::homes::{Home, Homes};
use super::identity::file_name;
use super::lease::{Lease, Unavailable};
use super::provide::{Around, Provide, Renewal};
use super::round::{Read, Reading, Round};
use crate::setting;
use crate::setting::fault::{Environment, Fault};
use crate::time::SystemTime;

/// A tool that keeps what it was handed out in a folder of each home.
pub trait Cached: Clone + PartialEq + Send + 'static {
    /// The provider that this is.
    const PROVIDER: Provider;
    /// Its name.
    const NAME: &'static str;
    /// What an operator can do where nobody has renewed it.
    const RENEW: &'static str;
    /// What the documentation says is read.
    const READS: &'static str;
    /// Whose clock the documentation says it expires by.
    const EXPIRES_BY: &'static str;
    /// Where the folder is in a home.
    const PLACE: &'static str;
    /// The variable that names another folder in the place of that of the first home, if there is one.
    const FOLDER: Option<&'static str> = None;

    /// What a document says: its name, its bytes, and when it was written by the clock of this host; `None` where it is of
    /// another kind.
    fn lease(file: &str, body: &[u8], modified: SystemTime) -> Option<Result<Lease, Unavailable>>;
}

/// The homes whose caches of a tool are read.
#[derive(Clone, PartialEq)]
pub struct Caches<C> {
    homes: Vec<PathBuf>,
    of: PhantomData<C>,
}

impl<C: Cached> Caches<C> {
    /// Those of `homes`.
    pub const fn of(homes: Vec<PathBuf>) -> Self {
        Self { homes, of: PhantomData }
    }
}

impl<C: Cached> Provide for Caches<C> {
    const NAME: &'static str = C::NAME;
    const RENEWAL: Renewal = Renewal::OnUse;
    const RENEW: &'static str = C::RENEW;
    const READS: &'static str = C::READS;
    const EXPIRES_BY: &'static str = C::EXPIRES_BY;

    type Written = ();

    fn check(_: Option<&()>, _: &setting::locate::Path, around: &Around<'_>) -> Result<Option<Self>, Fault> {
        Ok((!around.homes.is_empty()).then(|| Self::of(around.homes.to_vec())))
    }

    fn written(_: Option<&Self>) -> Option<()> {
        None
    }

    fn reader(&self, env: Environment<'_>) -> Option<Box<dyn Read>> {
        let folder = C::FOLDER.and_then(env).filter(|folder| !folder.is_empty()).map(PathBuf::from);
        let cache = Cache::new(self.homes.clone(), C::PLACE, C::lease).moved(folder);
        Some(Box::new(Reader { cache, provider: C::PROVIDER }))
    }
}

/// Reads the caches of a tool.
struct Reader {
    cache: Cache,
    provider: Provider,
}

#[async_trait]
impl Read for Reader {
    fn provider(&self) -> Provider {
        self.provider
    }

    async fn read(&mut self) -> Round {
        self.cache.read().await
    }
}

/// [`Cached::lease`] of a tool.
type Document = fn(&str, &[u8], SystemTime) -> Option<Result<Lease, Unavailable>>;

/// A kind of cache in each of some homes.
#[derive(Clone)]
struct Cache {
    homes: Homes,
    /// Where it is in a home.
    place: &'static str,
    /// Where it is instead of in the first home, where the environment says so.
    moved: Option<PathBuf>,
    document: Document,
}

impl Cache {
    fn new(homes: Vec<PathBuf>, place: &'static str, document: Document) -> Self {
        Self { homes: Homes::new(homes), place, moved: None, document }
    }

    /// The same with `folder` in the place of that of the first home.
    fn moved(self, folder: Option<PathBuf>) -> Self {
        Self { moved: folder, ..self }
    }

    /// Reads every document of every home. A folder that is not there holds nothing.
    async fn read(&self) -> Round {
        let cache = self.clone();
        Round::of(file::apart(move || cache.readings()).await)
    }

    fn readings(&self) -> Vec<Reading> {
        let mut moved = self.moved.as_ref();
        let folder = |home: &Home| moved.take().cloned().unwrap_or_else(|| home.path.join(self.place));
        let folders: Vec<_> = self.homes.iter().map(folder).collect();
        let folders = self.homes.iter().zip(folders);
        folders.flat_map(|(home, folder)| self.readings_of(home, &folder)).collect()
    }

    fn readings_of(&self, home: &Home, folder: &Path) -> Vec<Reading> {
        let opened = Folder::open(folder).and_then(|folder| Ok((folder.documents()?, folder)));
        match opened {
            Ok((names, folder)) => names.iter().filter_map(|name| self.reading(home, &folder, name.as_ref())).collect(),
            Err(Unavailable::NotFound) => Vec::new(),
            Err(reason) => vec![Reading { slot: home.slot(""), result: Err(reason) }],
        }
    }

    fn reading(&self, home: &Home, folder: &Folder, file: &Path) -> Option<Reading> {
        let name = file_name(file.as_os_str());
        let result = match folder.read(file, SMALL) {
            Ok(content) => (self.document)(&name, &content.bytes, content.modified)?,
            // Tools replace and remove their files at any time.
            Err(Unavailable::NotFound) => return None,
            Err(reason) => Err(reason),
        };
        Some(Reading { slot: home.slot(&name), result: result.map(|lease| home.own(lease)) })
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    #[cfg(unix)]
    use std::os::unix::fs::symlink;

    use super::*;

    fn document(name: &str, body: &[u8], _: SystemTime) -> Option<Result<Lease, Unavailable>> {
        match body {
            b"other" => None,
            b"bad" => Some(Err(Unavailable::MissingExpiration)),
            _ => {
                Some(Ok(Lease { identity: name.into(), code: None, kind: None, last_updated: None, expiration: None }))
            }
        }
    }

    async fn slots(cache: &Cache) -> Vec<(String, Option<Unavailable>)> {
        let readings = cache.read().await.readings;
        readings.into_iter().map(|reading| (reading.slot, reading.result.err())).collect()
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn each_document_of_each_home_is_a_reading_under_a_slot_of_its_own() {
        let root = tempfile::tempdir().unwrap();
        let homes = ["root", "alice", "bob"].map(|name| root.path().join(name));
        for home in &homes[..2] {
            fs::create_dir_all(home.join(".aws/x")).unwrap();
            fs::write(home.join(".aws/x/1.json"), "good").unwrap();
        }
        let first = homes[0].join(".aws/x");
        fs::write(first.join("2.json"), "bad").unwrap();
        fs::write(first.join("3.json"), "other").unwrap();
        fs::write(first.join("4.txt"), "good").unwrap();
        fs::write(first.join("5.json"), "x".repeat(SMALL + 1)).unwrap();
        symlink("../../../alice/.aws/x/1.json", first.join("6.json")).unwrap();
        symlink("nowhere", first.join("7.json")).unwrap();
        fs::create_dir(first.join("8.json")).unwrap();
        let mut cache = Cache::new(homes.to_vec(), ".aws/x", document);
        let slot = |name: &str, reason| (name.to_owned(), reason);
        let expected = [
            slot("1.json", None),
            slot("2.json", Some(Unavailable::MissingExpiration)),
            slot("5.json", Some(Unavailable::TooLarge)),
            slot("6.json", Some(Unavailable::Escapes)),
            slot("8.json", Some(Unavailable::NotAFile)),
            slot("alice:1.json", None),
        ];
        assert_eq!(slots(&cache).await, expected);
        cache = cache.moved(Some(root.path().join("nowhere")));
        assert_eq!(slots(&cache).await, expected[5..]);
    }

    #[tokio::test]
    async fn a_folder_that_is_none_is_a_reading_of_its_home() {
        let root = tempfile::tempdir().unwrap();
        let homes = ["root", "alice"].map(|name| root.path().join(name));
        for home in &homes {
            fs::create_dir_all(home.join(".aws")).unwrap();
            fs::write(home.join(".aws/x"), "").unwrap();
        }
        let cache = Cache::new(homes.to_vec(), ".aws/x", document);
        let no_folder = |slot: &str| (slot.to_owned(), Some(Unavailable::NotAFile));
        assert_eq!(slots(&cache).await, [no_folder(""), no_folder("alice")]);
    }
}
