//! What must not come back: the secrets that an attempt has read, masked in whatever comes of it.

/// What stands in the place of what is not shown.
pub const MASK: &str = "***";

/// A secret shorter than this is not looked for: it would be found by chance.
const SHORTEST: usize = 6;

/// The secrets that one attempt has read. None is read without it, so that it knows all that it has to mask. It has no
/// `Debug`: the secrets are in it.
#[derive(Default)]
pub struct Masker {
    /// The longest first, because one may be a part of another.
    hidden: Vec<Vec<u8>>,
}

impl Masker {
    /// Masks `secret` from now on.
    pub fn hide(&mut self, secret: &[u8]) {
        if secret.len() >= SHORTEST {
            self.hidden.push(secret.to_vec());
            self.hidden.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        }
    }

    /// `bytes` with [`MASK`] in the place of each secret.
    pub fn masked(&self, bytes: &[u8]) -> Vec<u8> {
        let mut bytes = bytes.to_vec();
        for secret in &self.hidden {
            while let Some(at) = bytes.windows(secret.len()).position(|window| window == secret) {
                bytes.splice(at..at.saturating_add(secret.len()), MASK.bytes());
            }
        }
        bytes
    }

    /// `text` with [`MASK`] in the place of each secret.
    pub fn masked_text(&self, text: &str) -> String {
        String::from_utf8_lossy(&self.masked(text.as_bytes())).into_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_masked_wherever_it_stands_and_what_is_too_short_is_none() {
        let mut masker = Masker::default();
        ["hunter2", "hunter2hunter2", "GET"].iter().for_each(|secret| masker.hide(secret.as_bytes()));
        assert_eq!(masker.masked_text("GET hunter2hunter2, hunter2 and xhunter2y"), "GET ***, *** and x***y");
        assert_eq!(masker.masked(b"\xffhunter2"), b"\xff***");
        assert_eq!(Masker::default().masked_text("hunter2"), "hunter2");
    }
}
