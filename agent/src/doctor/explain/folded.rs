//! Finds wordings in a text, whatever its case, its blanks, its quotes and its wrapped lines.

use std::iter;
use std::ops::Range;

use memchr::memmem;

use super::decode::WRAP;

/// What Java and others put behind the code of an error.
const ENDING: &[u8] = b"exception";

/// What is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Needle {
    /// A name in one word, such as `ExpiredToken`: also with `Exception` behind it.
    Code(&'static str),
    /// Words with one blank between them.
    Words(&'static str),
}

impl Needle {
    const fn text(self) -> &'static str {
        match self {
            Self::Code(text) | Self::Words(text) => text,
        }
    }
}

/// A text without its blanks and quotes, in lower case, that knows where all came from.
pub(super) struct Folded {
    bytes: Vec<u8>,
    /// Where each byte begins in the text.
    places: Vec<u32>,
    /// What stands before each byte.
    gaps: Vec<Gap>,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Gap {
    None,
    /// A quote or an emphasis.
    Mark,
    Blank,
    /// The end of a line.
    Break,
}

impl Folded {
    /// Folds a text of less than 4 GiB.
    pub(super) fn of(text: &str) -> Self {
        let mut folded = Self { bytes: Vec::with_capacity(text.len()), places: Vec::new(), gaps: Vec::new() };
        folded.places.reserve(text.len());
        folded.gaps.reserve(text.len());
        let mut gap = Gap::Break;
        for (place, byte) in text.bytes().enumerate() {
            let between = match byte {
                b' ' => Gap::Blank,
                b'\n' => Gap::Break,
                byte if char::from(byte) == WRAP => Gap::Break,
                byte if is_mark(byte) => Gap::Mark,
                _ => Gap::None,
            };
            if between == Gap::None {
                folded.bytes.push(byte.to_ascii_lowercase());
                folded.places.push(u32::try_from(place).unwrap_or(u32::MAX));
                folded.gaps.push(gap);
                gap = Gap::None;
            } else {
                gap = gap.max(between);
            }
        }
        folded
    }

    /// Where a needle stands within a part of the text, looked for no further than is asked.
    pub(super) fn find(&self, needle: Needle, within: Range<usize>) -> impl Iterator<Item = Range<usize>> {
        let (first, last) = (self.index(within.start), self.index(within.end));
        let wanted = folded_needle(needle.text());
        let hay = self.bytes.get(first..last.max(first)).unwrap_or_default();
        let finder = memmem::Finder::new(&wanted.0).into_owned();
        let mut from = 0;
        let found = iter::from_fn(move || {
            let at = from + finder.find(hay.get(from..)?)?;
            from = at + finder.needle().len();
            Some(at)
        });
        found.filter_map(move |at| {
            let at = at + first;
            self.is_meant(needle, &wanted.1, at).then(|| {
                let end = self.place(at + wanted.0.len() - 1) + 1;
                self.place(at)..end
            })
        })
    }

    /// Whether one of several stands there.
    pub(super) fn has_any(&self, needles: &[Needle], within: &Range<usize>) -> bool {
        needles.iter().any(|needle| self.find(*needle, within.clone()).next().is_some())
    }

    /// The first byte that comes from `place` or behind it.
    fn index(&self, place: usize) -> usize {
        self.places.partition_point(|one| (*one as usize) < place)
    }

    fn place(&self, index: usize) -> usize {
        self.places.get(index).map_or(usize::MAX - 1, |place| *place as usize)
    }

    fn gap(&self, index: usize) -> Gap {
        self.gaps.get(index).copied().unwrap_or(Gap::Break)
    }

    /// Whether words stand where the needle has words, and the needle is not a part of longer ones.
    fn is_meant(&self, needle: Needle, blanks: &[bool], at: usize) -> bool {
        let fits = blanks.iter().enumerate().skip(1).all(|(number, is_blank)| match self.gap(at + number) {
            Gap::None | Gap::Mark => !is_blank,
            Gap::Blank => *is_blank,
            Gap::Break => true,
        });
        let end = at + blanks.len();
        let is_word = |index: usize| self.bytes.get(index).is_some_and(u8::is_ascii_alphanumeric);
        let begins = at == 0 || self.gap(at) != Gap::None || !is_word(at - 1) || !is_word(at);
        let is_letter = |index: usize| self.bytes.get(index).is_some_and(u8::is_ascii_alphabetic);
        let after = self.bytes.get(end..).unwrap_or_default();
        let has_ending = matches!(needle, Needle::Code(_))
            && after.starts_with(ENDING)
            && (!is_letter(end + ENDING.len()) || self.gap(end + ENDING.len()) != Gap::None);
        let ends = !is_word(end - 1) || self.gap(end) != Gap::None || !is_letter(end) || has_ending;
        fits && begins && ends
    }
}

const fn is_mark(byte: u8) -> bool {
    matches!(byte, b'"' | b'\'' | b'`' | b'*')
}

/// A needle without blanks and marks, and before which of its bytes there is a blank.
fn folded_needle(text: &str) -> (Vec<u8>, Vec<bool>) {
    let (mut bytes, mut blanks, mut is_blank) = (Vec::new(), Vec::new(), false);
    for byte in text.bytes() {
        match byte {
            b' ' => is_blank = true,
            byte if is_mark(byte) => {}
            byte => {
                bytes.push(byte.to_ascii_lowercase());
                blanks.push(is_blank);
                is_blank = false;
            }
        }
    }
    (bytes, blanks)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn has(text: &str, needle: Needle) -> bool {
        Folded::of(text).find(needle, 0..text.len()).next().is_some()
    }

    #[test]
    fn wordings_are_found_whatever_stands_between_their_words() {
        for text in [
            "Signature expired: x",
            "SIGNATURE  EXPIRED:",
            "Sig\nnature\nexp\u{b}ired:",
            "**Signature expired**: x",
            "\"Signature 'expired':\"",
        ] {
            assert!(has(text, Needle::Words("signature expired:")), "{text}");
        }
        for text in ["Signatureexpired: x", "Signature ex pired:", "Designature expired:", "signature expire"] {
            assert!(!has(text, Needle::Words("signature expired:")), "{text}");
        }
    }

    #[test]
    fn a_code_is_one_word() {
        for text in [
            "(ExpiredToken)",
            "service#ExpiredTokenException:",
            "Errors::ExpiredTokenException",
            "Expired\nToken",
            "EXPIREDTOKEN",
        ] {
            assert!(has(text, Needle::Code("ExpiredToken")), "{text}");
        }
        for text in ["your expired token", "NotExpiredToken", "ExpiredTokenizer", "ExpiredTokenError"] {
            assert!(!has(text, Needle::Code("ExpiredToken")), "{text}");
        }
    }

    #[test]
    fn places_are_those_of_the_text() {
        let text = "é \"a  b\" c";
        let found: Vec<_> = Folded::of(text).find(Needle::Words("a b"), 0..text.len()).collect();
        assert_eq!(found.len(), 1, "several blanks are one");
        assert_eq!(&text[found[0].clone()], "a  b");
    }
}
