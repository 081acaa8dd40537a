//! Texts of a bounded length.

use ring::digest::{SHA256, digest};

/// What stands where something was cut off.
const CUT: char = '…';

/// `text` in at most `limit` characters.
pub(super) fn cut(text: &str, limit: usize) -> String {
    let mut rest = text.chars();
    let mut cut: String = rest.by_ref().take(limit).collect();
    if rest.next().is_some() {
        cut.pop();
        cut.push(CUT);
    }
    cut
}

/// SHA-256 in 64 hexadecimal digits.
pub(super) fn hash(text: &str) -> String {
    digest(&SHA256, text.as_bytes()).as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A name of at most `limit` bytes for `text`, the same for the same text and no other: its end gives way to a hash.
/// `limit` is at least 65.
pub(super) fn short_name(text: &str, limit: usize) -> String {
    if text.len() <= limit {
        return text.to_owned();
    }
    let hash = hash(text);
    let room = limit.saturating_sub(hash.len().saturating_add(1));
    let kept = text.char_indices().map(|(at, _)| at).take_while(|at| *at <= room).last().unwrap_or_default();
    format!("{}~{hash}", text.get(..kept).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_fits_stays_as_it_is_and_what_does_not_is_cut_at_a_character(text in ".*", limit in 1..40_usize) {
            let cut = cut(&text, limit);
            prop_assert!(cut.chars().count() <= limit);
            prop_assert_eq!(cut == text, text.chars().count() <= limit);
        }

        #[test]
        fn a_name_is_short_and_tells_texts_apart(text in "[a-zé]{70,90}", other in "[a-zé]{70,90}") {
            let name = short_name(&text, 80);
            prop_assert!(name.len() <= 80);
            prop_assert_eq!(&name, &short_name(&text, 80));
            prop_assert_eq!(text == other, name == short_name(&other, 80));
        }
    }

    #[test]
    fn a_hash_is_sha_256() {
        assert_eq!(hash("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }
}
