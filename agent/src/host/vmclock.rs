//! What the hypervisor says of the clock of its machine: VMClock, by which a guest learns that it was moved to another host, or
//! was restored from a snapshot. Nothing else in the guest moves then, not even its own clocks.
//!
//! Of the page no time is taken: hypervisors leave those fields empty, and do not agree on their time scale.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::sys;
use crate::time::{BootTime, Span};

/// The device that is looked for where nobody names one.
pub const DEVICE: &str = "/dev/vmclock0";
/// The part of the page that is read; the rest is empty.
const LENGTH: usize = 112;
/// `VCLK`, the magic of the page (vmclock-abi.h of Linux).
const MAGIC: u32 = 0x4b4c_4356;
const DISRUPTION_SOON: u64 = 1 << 1;
const DISRUPTION_IMMINENT: u64 = 1 << 2;
const GENERATION_PRESENT: u64 = 1 << 8;
/// A device that cannot be read is tried again after this time. Where a hypervisor hangs while it writes, a reader waits for
/// a tenth of a second each time.
const PAUSE: Span = Span::from_nanos(10 * 1_000_000_000);
/// One that could be read until then is tried so often after a second, because a hypervisor that writes slowly is disrupting
/// the clocks right now.
const RETRIES: u8 = 3;
const RETRY: Span = Span::from_nanos(1_000_000_000);

/// Which device is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Choice {
    /// [`DEVICE`], where it is there and may be read.
    Auto,
    /// This one.
    Path(PathBuf),
    /// None.
    Off,
}

/// What the page says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Page {
    /// Changes whenever the clock of the machine was disrupted.
    pub marker: u64,
    /// Changes whenever the machine was restored from a snapshot, which may be that of another; `None` where the hypervisor
    /// does not count.
    pub generation: Option<u64>,
    /// When the next disruption is expected.
    pub expected: Option<Expected>,
}

/// When a disruption is expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Expected {
    /// Within a day or so.
    WithinADay,
    /// Within an hour or so.
    WithinAnHour,
}

impl Expected {
    /// The latest end of that time, in seconds from now.
    pub const fn seconds(self) -> f64 {
        match self {
            Self::WithinADay => 86_400.0,
            Self::WithinAnHour => 3_600.0,
        }
    }
}

/// Why there is no page.
#[derive(Debug, thiserror::Error)]
pub enum PageError {
    /// The device cannot be read.
    #[error("{0}")]
    Unreadable(#[from] io::Error),
    /// It is something else.
    #[error("it is no VMClock")]
    Foreign,
}

impl Page {
    /// Reads the device.
    ///
    /// # Errors
    /// It cannot be read, or is no VMClock.
    pub fn read(path: &Path) -> Result<Self, PageError> {
        Self::of(&open(path)?)
    }

    fn of(device: &File) -> Result<Self, PageError> {
        let mut page = [0; LENGTH];
        // The driver hands out no half of a page that is being written.
        sys::read_at_start(device, &mut page)?;
        Self::decode(&page).ok_or(PageError::Foreign)
    }

    fn decode(page: &[u8; LENGTH]) -> Option<Self> {
        let word =
            |at: usize| page.get(at..at + 8).and_then(|bytes| bytes.try_into().ok()).map_or(0, u64::from_le_bytes);
        let flags = word(0x18);
        let expected = match flags {
            _ if flags & DISRUPTION_IMMINENT != 0 => Some(Expected::WithinAnHour),
            _ if flags & DISRUPTION_SOON != 0 => Some(Expected::WithinADay),
            _ => None,
        };
        (word(0) & u64::from(u32::MAX) == u64::from(MAGIC)).then(|| Self {
            marker: word(0x10),
            generation: (flags & GENERATION_PRESENT != 0).then(|| word(0x68)),
            expected,
        })
    }

    /// Whether the clock of the machine was disrupted since `before`.
    pub fn is_disrupted_since(&self, before: &Self) -> bool {
        (self.marker, self.generation) != (before.marker, before.generation)
    }
}

/// Opens what is a device or a file, and waits for nobody.
fn open(path: &Path) -> Result<File, PageError> {
    sys::open_device(path)?.map(|opened| opened.file).ok_or(PageError::Foreign)
}

/// A device that is read again and again.
#[derive(Debug)]
pub struct Watch {
    choice: Choice,
    device: Option<File>,
    /// Not before then, after it could not be read.
    next: Option<BootTime>,
    /// How often it is tried again soon.
    retries: u8,
    is_told: bool,
}

impl Watch {
    /// Reads nothing yet.
    pub const fn new(choice: Choice) -> Self {
        Self { choice, device: None, next: None, retries: 0, is_told: false }
    }

    /// Which device it was told to read.
    pub const fn choice(&self) -> &Choice {
        &self.choice
    }

    /// What the page says `now`; `None` where there is none. That one which somebody has named cannot be read is told once.
    pub fn read(&mut self, now: BootTime) -> Option<Page> {
        let path = match &self.choice {
            Choice::Off => return None,
            Choice::Auto => Path::new(DEVICE),
            Choice::Path(path) => path,
        };
        if self.next.is_some_and(|next| now < next) {
            return None;
        }
        let opened = match self.device.take() {
            Some(device) => Ok(device),
            None => open(path),
        };
        match opened.and_then(|device| Ok((Page::of(&device)?, device))) {
            Ok((page, device)) => {
                (self.device, self.next, self.retries, self.is_told) = (Some(device), None, RETRIES, false);
                Some(page)
            }
            Err(error) => {
                let left = self.retries.checked_sub(1);
                self.next = Some(now.plus(if left.is_some() { RETRY } else { PAUSE }));
                self.retries = left.unwrap_or_default();
                let is_wanted = left.is_none() && matches!(self.choice, Choice::Path(_));
                if is_wanted && !std::mem::replace(&mut self.is_told, true) {
                    tracing::warn!(path = %path.display(), %error, "the VMClock cannot be read: a migration of this machine is \
                        noticed when the sources are asked the next time");
                }
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// A page as QEMU 10 writes it, with these fields.
    fn page(marker: u64, flags: u64, generation: u64) -> [u8; LENGTH] {
        let mut page = [0; LENGTH];
        let head = [MAGIC.to_le_bytes(), 4096_u32.to_le_bytes(), [1, 0, 0xff, 0], 2_u32.to_le_bytes()].concat();
        page[..16].copy_from_slice(&head);
        for (at, word) in [(0x10, marker), (0x18, flags), (0x68, generation)] {
            page[at..at + 8].copy_from_slice(&word.to_le_bytes());
        }
        page
    }

    #[test]
    fn the_page_is_read_as_the_header_of_linux_has_it() {
        let read = |flags| Page::decode(&page(7, flags, 9)).unwrap();
        assert_eq!(read(0), Page { marker: 7, generation: None, expected: None });
        assert_eq!(read(1 << 8), Page { marker: 7, generation: Some(9), expected: None });
        assert_eq!(read(1 << 1).expected, Some(Expected::WithinADay));
        assert_eq!(read(1 << 1 | 1 << 2).expected, Some(Expected::WithinAnHour));
        assert_eq!(Page::decode(&[0; LENGTH]), None);
    }

    #[test]
    fn another_marker_or_generation_is_a_disruption_and_an_announcement_is_none() {
        let of = |marker, flags, generation| Page::decode(&page(marker, flags, generation)).unwrap();
        let before = of(1, 1 << 8, 5);
        assert!(!of(1, 1 << 8 | 1 << 2, 5).is_disrupted_since(&before));
        assert!(of(2, 1 << 8, 5).is_disrupted_since(&before) && of(1, 1 << 8, 6).is_disrupted_since(&before));
    }

    #[cfg(unix)]
    #[test]
    fn a_device_is_read_as_it_changes_and_looked_for_again_after_a_while_where_it_is_not_there() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("vmclock0");
        let mut watch = Watch::new(Choice::Path(path.clone()));
        let at = BootTime::from_seconds;
        assert_eq!(watch.read(at(0.0)), None);
        fs::write(&path, page(1, 0, 0)).unwrap();
        assert_eq!(watch.read(at(9.0)), None, "it is not tried all the time");
        assert_eq!(watch.read(at(10.0)).map(|page| page.marker), Some(1));
        fs::write(&path, page(2, 0, 0)).unwrap();
        assert_eq!(watch.read(at(10.1)).map(|page| page.marker), Some(2));
        assert_eq!(Watch::new(Choice::Off).read(at(0.0)), None);
    }

    #[cfg(unix)]
    #[test]
    fn a_device_that_could_be_read_is_tried_again_soon_but_not_for_ever() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("vmclock0");
        let write = |content: &[u8]| fs::write(&path, content).unwrap();
        let mut watch = Watch::new(Choice::Path(path.clone()));
        let mut marker = |seconds| watch.read(BootTime::from_seconds(seconds)).map(|page| page.marker);
        write(&page(1, 0, 0));
        assert_eq!(marker(0.0), Some(1));
        write(b"no page");
        assert_eq!(marker(1.0), None);
        write(&page(2, 0, 0));
        assert_eq!((marker(1.9), marker(2.0)), (None, Some(2)));
        write(b"no page");
        assert_eq!([3.0, 4.0, 5.0, 6.0].map(&mut marker), [None; 4]);
        write(&page(3, 0, 0));
        assert_eq!((marker(7.0), marker(15.9), marker(16.0)), (None, None, Some(3)));
    }
}
