//! Characters from bytes of whatever encoding, and those that look alike as one.

/// How much of a text tells its encoding.
const TELLING: usize = 4_096;

/// Reads UTF-8 or UTF-16; what is neither is a blank.
pub(super) fn decode(bytes: &[u8]) -> String {
    let end = bytes.get(bytes.len().saturating_sub(TELLING & !1)..).unwrap_or_default();
    // The end of a text may begin in the midst of a pair: then the other order reads it as well.
    let parity = bytes.len().saturating_sub(end.len()) % 2;
    let zeros = |odd: usize| end.iter().skip((odd + parity) % 2).step_by(2).filter(|byte| **byte == 0).count();
    let (even, odd, half) = (zeros(0), zeros(1), end.len() / 2);
    let wide = |read: fn([u8; 2]) -> u16| {
        let pairs = bytes.chunks_exact(2).filter_map(|pair| Some(read(pair.try_into().ok()?)));
        char::decode_utf16(pairs).map(|c| c.unwrap_or(' ')).filter(|c| *c != '\0').collect()
    };
    match () {
        () if half > 0 && odd * 2 > half && even * 4 < half => wide(u16::from_le_bytes),
        () if half > 0 && even * 2 > half && odd * 4 < half => wide(u16::from_be_bytes),
        () => String::from_utf8_lossy(bytes).replace('\0', ""),
    }
}

/// The same with one kind of blank, of quotation mark, of dash and of line end, and without what is not seen.
pub(super) fn plain(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut was_return = false;
    for c in text.chars() {
        let is_return = c == '\r';
        match c {
            '\n' if was_return => {}
            '\n' | '\r' | '\u{85}' | '\u{2028}' | '\u{2029}' => plain.push('\n'),
            '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2064}' | '\u{feff}' => {}
            '‘' | '’' | '‚' | '‛' => plain.push('\''),
            '“' | '”' | '„' | '‟' => plain.push('"'),
            '‐'..='―' | '−' => plain.push('-'),
            '\u{fffd}' => plain.push(' '),
            c if c.is_whitespace() || c.is_control() => plain.push(' '),
            c => plain.push(c),
        }
        was_return = is_return;
    }
    plain
}
