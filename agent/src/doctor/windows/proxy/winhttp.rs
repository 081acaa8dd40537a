//! The proxy of WinHTTP, which `netsh winhttp set proxy` writes and `netsh winhttp show proxy` shows.

use super::name::nameable;

/// The key of its value.
pub const KEY: &str = r"SOFTWARE\Microsoft\Windows\CurrentVersion\Internet Settings\Connections";
/// Its value.
pub const VALUE: &str = "WinHttpSettings";

/// A proxy is set.
const MANUAL: u32 = 0x2;

/// What WinHTTP is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WinHttp {
    /// Host and port.
    pub proxy: String,
    /// What is asked without it.
    pub bypass: String,
}

impl WinHttp {
    /// Reads the value; `None` where it names no proxy, or is none.
    ///
    /// Microsoft does not document its form: the number of the version, a counter, flags, and two texts with their lengths before
    /// them, all numbers of four bytes in little-endian.
    pub fn read(bytes: &[u8]) -> Option<Self> {
        let flags = number(bytes, 8)?;
        let (proxy, rest) = text(bytes, 12)?;
        let (bypass, _) = text(bytes, rest).unwrap_or_default();
        (flags & MANUAL != 0 && !proxy.is_empty()).then(|| Self { proxy: nameable(&proxy), bypass })
    }
}

fn number(bytes: &[u8], at: usize) -> Option<u32> {
    let four = bytes.get(at..at.checked_add(4)?)?;
    Some(u32::from_le_bytes(four.try_into().ok()?))
}

/// A text with its length before it, and where the next one is.
fn text(bytes: &[u8], at: usize) -> Option<(String, usize)> {
    let begin = at.checked_add(4)?;
    let end = begin.checked_add(usize::try_from(number(bytes, at)?).ok()?)?;
    Some((String::from_utf8_lossy(bytes.get(begin..end)?).into_owned(), end))
}

#[cfg(test)]
pub(in crate::doctor::windows) mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The value as `netsh winhttp set proxy` writes it.
    pub(in crate::doctor::windows) fn value(proxy: &str, bypass: &str) -> Vec<u8> {
        let flags: u32 = if proxy.is_empty() { 1 } else { 3 };
        let mut bytes = [0x28_u32, 0, flags].map(u32::to_le_bytes).concat();
        for text in [proxy, bypass] {
            bytes.extend(u32::try_from(text.len()).unwrap().to_le_bytes());
            bytes.extend(text.as_bytes());
        }
        bytes
    }

    #[test]
    fn a_proxy_is_read_with_what_is_asked_without_it() {
        let read = WinHttp::read(&value("proxy.contoso.com:8080", "localhost;*.contoso.com")).unwrap();
        assert_eq!((read.proxy.as_str(), read.bypass.as_str()), ("proxy.contoso.com:8080", "localhost;*.contoso.com"));
    }

    #[test]
    fn the_value_without_a_proxy_is_none() {
        // As Microsoft has it: 1800000000000000010000000000000000000000.
        let direct = [0x18, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        assert_eq!(WinHttp::read(&direct), None);
        assert_eq!(WinHttp::read(&[]), None);
        // What is left of a proxy that is no longer set.
        let mut left = value("proxy.contoso.com:8080", "");
        left[8] = 1;
        assert_eq!(WinHttp::read(&left), None);
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_reader_panic(bytes in prop::collection::vec(any::<u8>(), 0..64), length in any::<u32>()) {
            let _ = WinHttp::read(&bytes);
            let head = [0x28_u32, 0, 3, length].map(u32::to_le_bytes).concat();
            let _ = WinHttp::read(&[head, bytes].concat());
        }
    }
}
