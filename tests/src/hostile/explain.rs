//! Texts that somebody pastes to have the errors in them explained.

use skewguard::doctor::explain::answer::explain;
use skewguard::doctor::explain::paste::Paste;

/// What no answer may hold: it stands in for the keys, tokens and signatures of a paste.
const SECRET: &str = "q7Xw0ZkVb3LmT9sR";
/// A part of the secret that is as long as this is a leak.
const LEAK: usize = 6;

/// A paste, as it is and with a secret wherever it has the letter `~`. There is an answer to each, it is the same twice, and
/// nothing of the secret is in it.
pub fn text(input: &[u8]) {
    if input.windows(LEAK).any(is_part_of_secret) {
        return;
    }
    let secret: Vec<u8> =
        input.iter().flat_map(|byte| if *byte == b'~' { SECRET.as_bytes().to_vec() } else { vec![*byte] }).collect();
    for bytes in [input, secret.as_slice()] {
        let paste = Paste::of(bytes);
        let (checks, errors) = explain(&paste, None);
        assert!(!checks.is_empty() && checks.len() == errors.len(), "{checks:?}");
        let said = serde_json::to_string(&(&checks, &errors)).expect("an answer is JSON");
        assert!(!said.as_bytes().windows(LEAK).any(is_part_of_secret), "{said}");
        assert_eq!(explain(&paste, None), (checks, errors));
    }
}

fn is_part_of_secret(part: &[u8]) -> bool {
    SECRET.as_bytes().windows(LEAK).any(|leak| leak == part)
}
