//! From the bytes of a paste to plain text: encodings, escapes of any depth, colours and markup are gone.

mod characters;
mod escapes;
mod markup;

/// Where a line was wrapped: there may be a blank or none, and a word or a time may go on. No decoded text has it.
pub(super) const WRAP: char = '\u{b}';
/// What is wrapped more often than this stays as it is.
const DEPTH: usize = 6;

/// The text of a paste. Lines end in `\n`, and there are neither control characters nor other blanks than U+0020.
pub(super) fn decode(bytes: &[u8]) -> String {
    let mut text = characters::decode(bytes);
    for _ in 0..DEPTH {
        let before = text.len();
        let (plain, has_changed) = escapes::unfold(&text);
        text = plain;
        if !has_changed && text.len() == before {
            break;
        }
    }
    characters::plain(&markup::without_tags(&markup::without_colours(&text)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_wrapping_is_taken_off() {
        let plain = "<Code>A</Code> 'b' \"c\"";
        for wrapped in [
            "&lt;Code&gt;A&lt;/Code&gt; &#39;b&#39; &quot;c&quot;",
            "&amp;lt;Code&amp;gt;A&amp;lt;/Code&amp;gt; &amp;#39;b&amp;#39; &#34;c&#x22;",
            r#"\u003cCode\u003eA\u003c/Code\u003e 'b' \"c\""#,
            r#"\\u003cCode\\u003eA\\u003c\\/Code\\u003e \\'b\\' \\\"c\\\""#,
            "%3CCode%3EA%3C%2FCode%3E+%27b%27+%22c%22",
            "\u{1b}[31m<Code>\u{1b}[0mA^[[1m</Code>\u{a0}‘b’\u{2003}“c”",
            "[1;31m<Code>[0m<b>A</b></Code>\t'b' \\x1b[0m\"c\"",
        ] {
            assert_eq!(decode(wrapped.as_bytes()), plain, "{wrapped}");
        }
    }

    #[test]
    fn any_encoding_is_read() {
        let text = "Signature │ é";
        let little: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
        let big: Vec<u8> = text.encode_utf16().flat_map(u16::to_be_bytes).collect();
        for bytes in [text.as_bytes().to_vec(), little.clone(), big, [vec![0xff, 0xfe], little].concat()] {
            assert_eq!(decode(&bytes).trim(), text);
        }
        assert_eq!(decode(b"\xffa\xc3\xa9\x80b\xa0c"), " aé b c");
        assert_eq!(decode(b"a\r\nb\rc\\r\\nd"), "a\nb\nc\nd");
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes: Vec<u8>, text: String, odd in "([\\\\%&<^\\[;ux#0-9a-f+ n\"]|\u{1b}){0,60}") {
            for bytes in [bytes, text.into_bytes(), odd.into_bytes()] {
                let text = decode(&bytes);
                prop_assert!(!text.chars().any(|c| c.is_control() && c != '\n'), "{text:?}");
            }
        }
    }
}
