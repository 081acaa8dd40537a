//! What was pasted: the end of it, for errors stand at the end of a log.

use std::io::{self, Read};

use super::decode;
use super::lines;

/// More than this, in bytes, is not kept.
pub const KEPT: usize = 4 << 20;

/// What somebody handed in, as bytes of whatever encoding.
///
/// It may hold secrets: it is not printed, and gone with the answer.
pub struct Paste {
    bytes: Vec<u8>,
    cut: u64,
}

impl Paste {
    /// The end of what somebody has in hand.
    pub fn of(bytes: &[u8]) -> Self {
        let begin = bytes.len().saturating_sub(KEPT);
        Self { bytes: bytes.get(begin..).unwrap_or_default().to_vec(), cut: begin as u64 }
    }

    /// The end of what a reader has, in bounded memory.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn read(mut reader: impl Read) -> io::Result<Self> {
        let (mut bytes, mut cut) = (Vec::new(), 0);
        while reader.by_ref().take(KEPT as u64).read_to_end(&mut bytes)? > 0 {
            let more = bytes.len().saturating_sub(KEPT);
            bytes.drain(..more);
            cut += more as u64;
        }
        Ok(Self { bytes, cut })
    }

    /// How many bytes of its beginning are not looked at.
    pub(super) const fn cut(&self) -> u64 {
        self.cut
    }

    /// It as plain text, a line for each line.
    pub(super) fn lines(&self) -> lines::Lines {
        lines::Lines::of(&decode::decode(&self.bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_is_kept_and_what_was_cut_is_counted() {
        let long: Vec<u8> = (0..KEPT + 1_000).map(|place| u8::try_from(place % 251).unwrap()).collect();
        let read = Paste::read(long.as_slice()).unwrap();
        for paste in [Paste::of(&long), read] {
            assert_eq!(paste.cut, 1_000);
            assert!(paste.bytes == long[1_000..], "the end");
        }
        assert_eq!(Paste::read(&b"short"[..]).unwrap().cut, 0);
    }
}
