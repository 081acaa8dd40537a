//! Whatever stands around an error, it is answered as the plain one is.

use proptest::prelude::*;

use super::explain;
use crate::doctor::explain::paste::Paste;

/// Errors in a line or several, that any wrapping may stand around.
const PLAIN: [&str; 9] = [
    "An error occurred (InvalidSignatureException) when calling the PutRecords operation: Signature expired: 20260301T120000Z is \
     now earlier than 20260301T120959Z (20260301T121459Z - 5 min.)",
    "panic: Signature not yet current: 20260301T121000Z is still later than 20260301T120500Z (20260301T120000Z + 5 min.)",
    "<Error><Code>RequestTimeTooSkewed</Code><Message>The difference between the request time and the current time is too large.\
     </Message><RequestTime>20260301T120000Z</RequestTime><ServerTime>2026-03-01T12:20:00Z</ServerTime></Error>",
    "botocore.exceptions.ClientError: An error occurred (ExpiredToken) when calling the ListObjectsV2 operation: The provided \
     token has expired.",
    "operation error S3: ListBuckets, get identity: get credentials: failed to refresh cached credentials, no EC2 IMDS role \
     found, operation error ec2imds: GetMetadata, request canceled, context deadline exceeded",
    "<Error><Code>AccessDenied</Code><Message>Request has expired</Message><X-Amz-Expires>300</X-Amz-Expires>\
     <Expires>2026-03-01T12:05:00Z</Expires><ServerTime>2026-03-01T12:05:10Z</ServerTime></Error>",
    "Unable to connect to the server: x509: certificate has expired or is not yet valid: current time 2026-03-01T12:00:00+08:00 is \
     before 2026-03-01T12:00:00Z",
    "An error occurred (AccessDenied) when calling the GetObject operation: Access Denied",
    "Error: Your password reset request has expired, so please ask for a new link to set another password for your account",
];

/// A wrapping that people and programs put around an error; `number` picks one.
fn wrapped(plain: &str, number: usize, width: usize) -> Vec<u8> {
    let json = |text: &str| serde_json::to_string(text).unwrap();
    let letters: Vec<char> = plain.chars().collect();
    let cut = || letters.chunks(width).map(|line| line.iter().collect::<String>()).collect::<Vec<_>>();
    let words = || {
        let mut lines = vec![String::new()];
        for word in plain.split(' ') {
            let last = lines.last_mut().unwrap();
            if !last.is_empty() && last.len() + 1 + word.len() > width {
                lines.push(word.to_owned());
            } else {
                last.push_str(if last.is_empty() { "" } else { " " });
                last.push_str(word);
            }
        }
        lines
    };
    let entities =
        |text: &str| text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;");
    let text = match number {
        0 => format!("\u{1b}[31m{}\u{1b}[0m", plain.replace(' ', "\u{1b}[1m \u{1b}[m")),
        1 => format!("^[[1;31m{plain}^[[0m"),
        2 => cut().join("\n"),
        3 => words().join("\n> "),
        4 => format!("╷\n│ {}\n╵", words().join("\n│ ")),
        5 => json(plain),
        6 => json(&json(plain)),
        7 => format!("{{\"level\": \"error\", \"msg\": {}}}", json(plain)),
        8 => entities(plain),
        9 => entities(&entities(plain)),
        10 => plain
            .chars()
            .map(|c| if "<>&'\"".contains(c) { format!("&#{};", u32::from(c)) } else { c.to_string() })
            .collect(),
        11 => format!("{plain}\r\n"),
        12 => plain.replace(' ', "\u{a0} "),
        13 => percent_encoding::utf8_percent_encode(plain, percent_encoding::NON_ALPHANUMERIC).to_string(),
        14 => percent_encoding::utf8_percent_encode(plain, percent_encoding::NON_ALPHANUMERIC)
            .to_string()
            .replace("%20", "+"),
        15 => format!("**Error**\n\n```\n{plain}\n```\n"),
        16 => format!("{plain:?}"),
        17 => format!("> > {plain}"),
        18 => json(plain).replace('<', "\\u003c").replace('>', "\\u003e"),
        19 => {
            return [&[0xff, 0xfe][..], &plain.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>()].concat();
        }
        20 => return plain.encode_utf16().flat_map(u16::to_be_bytes).collect(),
        21 => return [b"\xff\xfe\x80\n", plain.as_bytes(), b"\n\xf0\x28"].concat(),
        _ => plain.to_owned(),
    };
    text.into_bytes()
}

proptest! {
    #[test]
    fn whatever_stands_around_an_error_it_is_answered_the_same(plain in 0..PLAIN.len(), number in 0..22_usize, width in 60..120_usize) {
        let plain = PLAIN[plain];
        let bytes = wrapped(plain, number, width);
        let told = |bytes: &[u8]| {
            let explained = explain(&Paste::of(bytes), None).1;
            explained.into_iter().map(|one| (one.kind, one.count, one.direction, one.skew_seconds, one.times)).collect::<Vec<_>>()
        };
        prop_assert_eq!(told(&bytes), told(plain.as_bytes()), "{} {}", number, String::from_utf8_lossy(&bytes));
    }
}

#[test]
fn a_terminal_may_wrap_a_time_and_its_unit_at_any_width() {
    let told = |bytes: &[u8]| explain(&Paste::of(bytes), None).1.into_iter().map(|one| one.times).collect::<Vec<_>>();
    for plain in PLAIN.iter().filter(|plain| plain.contains(" min.)")) {
        for width in 60..120 {
            let bytes = wrapped(plain, 2, width);
            assert_eq!(told(&bytes), told(plain.as_bytes()), "{}", String::from_utf8_lossy(&bytes));
        }
    }
}
