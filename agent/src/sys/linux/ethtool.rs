//! Linux: the counters of a network interface, as `ethtool -S` shows them.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};

use nix::sys::socket::{AddressFamily, SockFlag, SockType, socket};

// <linux/ethtool.h>
const GSTRINGS: u32 = 0x1b;
const GSTATS: u32 = 0x1d;
const GSSET_INFO: u32 = 0x37;
const SET_OF_STATISTICS: u32 = 1;
const NAME_LENGTH: usize = 32;

/// No driver counts more things than this; one with many queues has some thousands.
const MOST: usize = 16_384;

/// The counters of the driver of the interface `name` since it came up, in the driver's order; none where the driver
/// counts nothing of its own. Changes nothing and needs no privilege.
///
/// # Errors
/// Those of `socket(2)` and of `ioctl(2)` with `SIOCETHTOOL`: `ENODEV` where there is no such interface, `EPERM` where a
/// sandbox forbids it, `EOPNOTSUPP` where the driver has no counters to tell.
pub fn interface_statistics(name: &str) -> io::Result<Vec<(String, u64)>> {
    let socket = socket(AddressFamily::Inet, SockType::Datagram, SockFlag::SOCK_CLOEXEC, None)?;
    let count = count(&socket, name)?;
    if count == 0 {
        return Ok(Vec::new());
    }
    // The kernel fills in as many as there are at the moment of the call, whatever was asked for, and a change of the
    // number of queues may add some in between: there is room for several times as many.
    let room = count.saturating_mul(4).saturating_add(1_024);
    let mut names = Block::new(&[GSTRINGS, SET_OF_STATISTICS, 0], room * NAME_LENGTH);
    names.exchange(&socket, name)?;
    let mut values = Block::new(&[GSTATS, 0], room * size_of::<u64>());
    values.exchange(&socket, name)?;
    let names = names.data().chunks_exact(NAME_LENGTH).map(text);
    let (values, _) = values.data().as_chunks();
    Ok(names.zip(values.iter().copied().map(u64::from_ne_bytes)).take(count).collect())
}

/// How many counters there are.
fn count(socket: &OwnedFd, name: &str) -> io::Result<usize> {
    let mask = 1_u64 << SET_OF_STATISTICS;
    // The header is followed by the mask of the sets that are asked for, which comes back without those that are not there,
    // and by the number of counters of each.
    let mut info = Block::new(&[GSSET_INFO, 0], size_of::<u64>() + size_of::<u32>());
    info.put(&mask.to_ne_bytes());
    info.exchange(socket, name)?;
    let (granted, count) = info.data().split_first_chunk().unwrap_or((&[0; 8], &[]));
    if u64::from_ne_bytes(*granted) & mask == 0 {
        return Ok(0);
    }
    let count = count.first_chunk().map_or(0, |count| u32::from_ne_bytes(*count));
    Ok(usize::try_from(count).unwrap_or(usize::MAX).min(MOST))
}

/// A command of ethtool: some words of 32 bits, and room for the answer behind them.
struct Block {
    bytes: Vec<u8>,
    header: usize,
}

impl Block {
    fn new(words: &[u32], room: usize) -> Self {
        let mut bytes: Vec<u8> = words.iter().flat_map(|word| word.to_ne_bytes()).collect();
        let header = bytes.len();
        bytes.resize(header + room, 0);
        Self { bytes, header }
    }

    fn put(&mut self, data: &[u8]) {
        for (byte, new) in self.bytes.iter_mut().skip(self.header).zip(data) {
            *byte = *new;
        }
    }

    fn data(&self) -> &[u8] {
        self.bytes.get(self.header..).unwrap_or_default()
    }

    #[expect(unsafe_code, reason = "SIOCETHTOOL has no safe wrapper")]
    fn exchange(&mut self, socket: &OwnedFd, name: &str) -> io::Result<()> {
        // SAFETY: `ifreq` is plain data for which all zeroes is a valid value.
        let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
        // The last byte of the name stays zero.
        let room = request.ifr_name.len() - 1;
        if name.is_empty() || name.len() > room {
            return Err(io::Error::from_raw_os_error(libc::ENODEV));
        }
        for (to, from) in request.ifr_name.iter_mut().zip(name.bytes()) {
            *to = from as libc::c_char;
        }
        request.ifr_ifru.ifru_data = self.bytes.as_mut_ptr().cast();
        // SAFETY: both pointers are valid for reads and writes for the whole call. What the kernel writes behind the second
        // is as long as the command says: one set of GSSET_INFO takes the 12 bytes that are there, and GSTRINGS and GSTATS
        // take as many entries as the driver has, for four times and a thousand more of which there is room.
        let result = unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCETHTOOL as libc::Ioctl, &raw mut request) };
        if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
    }
}

/// A name that ends with the first zero.
fn text(bytes: &[u8]) -> String {
    let name = bytes.split(|byte| *byte == 0).next().unwrap_or_default();
    String::from_utf8_lossy(name).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interface_that_does_not_exist_is_no_device() {
        for name in ["", "no-such-device", "a-name-that-is-longer-than-any-interface-can-have"] {
            let error = interface_statistics(name).unwrap_err();
            assert_eq!(error.raw_os_error(), Some(libc::ENODEV), "{name:?}: {error}");
        }
    }

    #[test]
    fn loopback_has_no_counters_of_a_driver() {
        match interface_statistics("lo") {
            Ok(counters) => assert_eq!(counters, []),
            Err(error) => assert_eq!(error.raw_os_error(), Some(libc::EOPNOTSUPP), "{error}"),
        }
    }

    #[test]
    fn a_name_ends_with_its_first_zero() {
        assert_eq!(text(b"linklocal_allowance_exceeded\0\0\0\0"), "linklocal_allowance_exceeded");
        assert_eq!(text(b"tx_bytes\0left over"), "tx_bytes");
        assert_eq!(text(b""), "");
    }
}
