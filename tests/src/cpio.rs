//! An archive that the kernel of a guest unpacks as its first file system.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

/// A cpio archive in the "newc" format, which the kernel unpacks as its first file system
/// (Documentation/driver-api/early-userspace/buffer-format.rst).
#[derive(Default)]
pub(crate) struct Archive {
    bytes: Vec<u8>,
    folders: Vec<String>,
    entries: u32,
}

impl Archive {
    const FOLDER: u32 = 0o040_000;
    const FILE: u32 = 0o100_000;
    const TRAILER: &str = "TRAILER!!!";

    pub(crate) fn copy(&mut self, name: &str, from: &Path) -> Result<()> {
        let content = fs::read(from).with_context(|| format!("failed to read {}", from.display()))?;
        self.file(name, 0o755, &content);
        Ok(())
    }

    pub(crate) fn file(&mut self, name: &str, mode: u32, content: &[u8]) {
        if let Some((folder, _)) = name.rsplit_once('/') {
            self.folder(folder);
        }
        self.entry(name, Self::FILE | mode, content);
    }

    pub(crate) fn folder(&mut self, name: &str) {
        if self.folders.iter().any(|known| known == name) {
            return;
        }
        if let Some((parent, _)) = name.rsplit_once('/') {
            self.folder(parent);
        }
        self.entry(name, Self::FOLDER | 0o755, &[]);
        self.folders.push(name.to_owned());
    }

    fn entry(&mut self, name: &str, mode: u32, content: &[u8]) {
        self.entries += 1;
        // Inode, mode, user, group, links, time, size, four device numbers, length of the name, checksum.
        let fields = [self.entries, mode, 0, 0, 1, 0, size(content), 0, 0, 0, 0, size(name.as_bytes()) + 1, 0];
        self.bytes.extend(b"070701");
        for field in fields {
            self.bytes.extend(format!("{field:08x}").as_bytes());
        }
        self.bytes.extend(name.as_bytes());
        self.bytes.push(0);
        self.pad();
        self.bytes.extend(content);
        self.pad();
    }

    fn pad(&mut self) {
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }

    pub(crate) fn end(mut self) -> Vec<u8> {
        self.entry(Self::TRAILER, 0, &[]);
        self.bytes
    }
}

fn size(content: &[u8]) -> u32 {
    u32::try_from(content.len()).expect("no file of the guest has 4 GiB")
}
