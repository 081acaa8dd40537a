//! Escapes of URLs, of XML and HTML, and of the strings of JSON and of programming languages.

/// A longer name of an entity is none.
const LONGEST_ENTITY: usize = 9;

/// Takes one layer of each off; `true` where something was taken off.
pub(super) fn unfold(text: &str) -> (String, bool) {
    let mut has_changed = false;
    let mut text = text.to_owned();
    for (mark, step) in [('%', percent as fn(&str) -> String), ('&', entities), ('\\', backslashes)] {
        if text.contains(mark) {
            let after = step(&text);
            has_changed |= after != text;
            text = after;
        }
    }
    (text, has_changed)
}

/// `%3A`, and `+` for a blank in a word that has such.
fn percent(text: &str) -> String {
    let mut plain = Vec::with_capacity(text.len());
    for word in text.split_inclusive(char::is_whitespace) {
        let bytes = word.as_bytes();
        let escaped = |place: usize| hexadecimal(bytes.get(place + 1..place + 3)?);
        let is_escaped = |place: usize| bytes.get(place) == Some(&b'%') && escaped(place).is_some();
        let is_form = (0..bytes.len()).any(is_escaped);
        let mut place = 0;
        while let Some(byte) = bytes.get(place) {
            match byte {
                b'%' if is_escaped(place) => {
                    plain.push(escaped(place).and_then(|value| u8::try_from(value).ok()).unwrap_or(b' '));
                    place += 2;
                }
                b'+' if is_form => plain.push(b' '),
                byte => plain.push(*byte),
            }
            place += 1;
        }
    }
    String::from_utf8(plain).unwrap_or_else(|wrong| String::from_utf8_lossy(wrong.as_bytes()).into_owned())
}

/// `&lt;`, `&#60;` and `&#x3c;`.
fn entities(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, behind)) = rest.split_once('&') {
        plain.push_str(before);
        let bytes = behind.bytes().take(LONGEST_ENTITY);
        let name = bytes.enumerate().find(|(_, byte)| *byte == b';').and_then(|(end, _)| behind.get(..end));
        // A terminal may have cut it.
        let c = name.and_then(|name| entity(&name.replace(['\n', '\r'], "")));
        match name.zip(c) {
            Some((name, c)) => {
                plain.push(c);
                rest = behind.get(name.len() + 1..).unwrap_or_default();
            }
            None => {
                plain.push('&');
                rest = behind;
            }
        }
    }
    plain.push_str(rest);
    plain
}

fn entity(name: &str) -> Option<char> {
    if let Some(number) = name.strip_prefix('#') {
        let value = match number.strip_prefix(['x', 'X']) {
            Some(number) => u32::from_str_radix(number, 16).ok()?,
            None => number.parse().ok()?,
        };
        return char::from_u32(value);
    }
    match name {
        "amp" => Some('&'),
        "lt" => Some('<'),
        "gt" => Some('>'),
        "quot" => Some('"'),
        "apos" => Some('\''),
        "nbsp" | "ensp" | "emsp" => Some(' '),
        "NewLine" => Some('\n'),
        _ => None,
    }
}

/// `\n`, `\"`, `\/`, `\u003c` and `\x3c`, however many backslashes stand before them.
fn backslashes(text: &str) -> String {
    let mut plain: Vec<u8> = Vec::with_capacity(text.len());
    let bytes = text.as_bytes();
    let mut place = 0;
    while let Some(byte) = bytes.get(place) {
        if *byte != b'\\' {
            plain.push(*byte);
            place += 1;
            continue;
        }
        let run = bytes.get(place..).unwrap_or_default().iter().take_while(|byte| **byte == b'\\').count();
        place += run;
        let rest = bytes.get(place..).unwrap_or_default();
        let number = |from: usize, to: usize| hexadecimal(rest.get(from..to)?);
        match rest.first() {
            Some(b'n') => (plain.push(b'\n'), place += 1).1,
            Some(b'r') => (plain.push(b'\r'), place += 1).1,
            Some(b't') => (plain.push(b' '), place += 1).1,
            Some(quote @ (b'"' | b'\'' | b'/' | b'`')) => (plain.push(*quote), place += 1).1,
            Some(b'u') if number(1, 5).is_some() => {
                let c = number(1, 5).and_then(char::from_u32).unwrap_or(' ');
                plain.extend(c.encode_utf8(&mut [0; 4]).bytes());
                place += 5;
            }
            Some(b'x') if number(1, 3).is_some() => {
                plain.push(number(1, 3).and_then(|value| u8::try_from(value).ok()).unwrap_or(b' '));
                place += 3;
            }
            Some(b'e') if rest.get(1) == Some(&b'[') => (plain.push(0x1b), place += 1).1,
            Some(b'0') if rest.starts_with(b"033[") => (plain.push(0x1b), place += 3).1,
            _ => plain.push(b'\\'),
        }
    }
    String::from_utf8(plain).unwrap_or_else(|wrong| String::from_utf8_lossy(wrong.as_bytes()).into_owned())
}

/// The value of digits of base 16.
fn hexadecimal(digits: &[u8]) -> Option<u32> {
    let digit = |byte: &u8| char::from(*byte).to_digit(16);
    digits.iter().try_fold(0_u32, |value, byte| Some(value * 16 + digit(byte)?))
}
