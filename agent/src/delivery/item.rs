//! What is delivered, and how it is kept in a file until then.
//!
//! An item holds nothing secret: where it goes, and with which keys, is known at the moment of sending.

use bytes::Bytes;
use flate2::Crc;
use serde::{Deserialize, Serialize};

use crate::clock::true_clock::Stamp;
use crate::time::TrueTime;

/// The first line of every file.
const MAGIC: &[u8] = b"skewguard-item 1\n";
/// Nothing that this agent encodes comes near it; it bounds what is read.
pub const MOST_BYTES: usize = 16 * 1024 * 1024;

/// What is given up first where there is no room for all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Class {
    /// Metrics.
    Telemetry,
    /// Transitions of alerts, on whichever channel.
    Alert,
}

/// How the body is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Content {
    /// JSON: an [`AlertMessage`](crate::snapshot::AlertMessage).
    Json,
    /// A request of OTLP.
    Protobuf,
    /// The same, compressed.
    ProtobufGzip,
}

/// What is to be delivered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// What is given up first.
    pub class: Class,
    /// The same for every delivery of the same thing, and for nothing else.
    pub key: String,
    /// When it was made.
    pub at: Stamp,
    /// How the body is written.
    pub content: Content,
    /// The body.
    pub body: Bytes,
}

/// A file that holds no item, and why.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Corrupt {
    /// It was not written by this agent, or by another version of it.
    #[error("it does not begin as a queued item does")]
    Foreign,
    /// The line that describes the item is none.
    #[error("its description is damaged")]
    Description,
    /// There is less or more than there should be.
    #[error("its length is not what it should be")]
    Length,
    /// A byte is not what it was.
    #[error("its checksum is wrong")]
    Checksum,
}

/// The second line of a file.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Description {
    class: Class,
    key: String,
    at: i64,
    verified: bool,
    content: Content,
    length: usize,
    crc32: u32,
}

impl Item {
    /// The item as a file.
    pub fn encode(&self) -> Vec<u8> {
        let description = Description {
            class: self.class,
            key: self.key.clone(),
            at: self.at.time.nanos(),
            verified: self.at.verified,
            content: self.content,
            length: self.body.len(),
            crc32: checksum(&self.body),
        };
        let mut file = MAGIC.to_vec();
        serde_json::to_writer(&mut file, &description).expect("a description has no map with keys that are no text");
        file.push(b'\n');
        file.extend_from_slice(&self.body);
        file
    }

    /// The item in a file.
    ///
    /// # Errors
    /// The file holds none, or a part of one.
    pub fn decode(file: &[u8]) -> Result<Self, Corrupt> {
        let rest = file.strip_prefix(MAGIC).ok_or(Corrupt::Foreign)?;
        let end = rest.iter().position(|byte| *byte == b'\n').ok_or(Corrupt::Description)?;
        let (line, body) = rest.split_at(end);
        let body = body.strip_prefix(b"\n").unwrap_or_default();
        let description: Description = serde_json::from_slice(line).map_err(|_| Corrupt::Description)?;
        if description.length != body.len() {
            return Err(Corrupt::Length);
        }
        if description.crc32 != checksum(body) {
            return Err(Corrupt::Checksum);
        }
        Ok(Self {
            class: description.class,
            key: description.key,
            at: Stamp { time: TrueTime::from_nanos(description.at), verified: description.verified },
            content: description.content,
            body: Bytes::copy_from_slice(body),
        })
    }
}

fn checksum(body: &[u8]) -> u32 {
    let mut crc = Crc::new();
    crc.update(body);
    crc.sum()
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;

    use super::*;

    pub(crate) fn item(class: Class, key: &str, body: &[u8]) -> Item {
        let at = Stamp { time: TrueTime::from_seconds(1e9), verified: true };
        Item { class, key: key.to_owned(), at, content: Content::Json, body: Bytes::copy_from_slice(body) }
    }

    proptest! {
        #[test]
        fn what_was_written_is_read(key in ".*", body in proptest::collection::vec(any::<u8>(), 0..300), at in any::<i64>(), verified in any::<bool>()) {
            let item = Item {
                at: Stamp { time: TrueTime::from_nanos(at), verified },
                content: Content::ProtobufGzip,
                ..item(Class::Telemetry, &key, &body)
            };
            prop_assert_eq!(Item::decode(&item.encode()), Ok(item));
        }

        #[test]
        fn a_file_that_was_cut_or_changed_is_refused(cut in any::<prop::sample::Index>(), flip in any::<prop::sample::Index>(), bit in 0..8_u8) {
            let file = item(Class::Alert, "a", b"a body of some length").encode();
            prop_assert!(Item::decode(&file[..cut.index(file.len())]).is_err());
            let mut changed = file.clone();
            let place = flip.index(file.len());
            changed[place] ^= 1 << bit;
            // A change of the description may yield another description, but never another body.
            if let Ok(read) = Item::decode(&changed) {
                prop_assert_eq!(read.body.as_ref(), b"a body of some length");
            }
        }

        #[test]
        fn no_file_makes_it_panic(file in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = Item::decode(&file);
            let _ = Item::decode(&[MAGIC, &file].concat());
        }
    }
}
