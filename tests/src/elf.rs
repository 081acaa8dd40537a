//! What the head of a program says of it (the System V ABI's object files, 64 bits, little-endian).

use std::fs;
use std::io::Read as _;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use flate2::read::ZlibDecoder;
use serde_json::Value;

const INTERPRETER: u32 = 3;
const DYNAMIC: u32 = 2;
const NEEDED: u64 = 1;
/// Where `cargo auditable` has written what the program is made of: JSON, compressed by zlib.
const DEPENDENCIES: &str = ".dep-v0";
/// So large that no list of dependencies is larger.
const MOST: u64 = 1 << 20;

/// A program.
pub struct Program {
    /// Its bytes.
    pub bytes: Vec<u8>,
}

impl Program {
    /// Reads one.
    ///
    /// # Errors
    /// When there is none.
    pub fn read(path: &Path) -> Result<Self> {
        let bytes = fs::read(path).with_context(|| format!("failed to read {}", path.display()))?;
        ensure!(bytes.starts_with(b"\x7fELF\x02\x01"), "{} is no program of 64 bits, little-endian", path.display());
        Ok(Self { bytes })
    }

    /// The architecture that it is for, as uname names it.
    ///
    /// # Errors
    /// When that is none that a release is made for.
    pub fn architecture(&self) -> Result<&'static str> {
        match self.number(18, 2)? {
            62 => Ok("x86_64"),
            183 => Ok("aarch64"),
            other => anyhow::bail!("a machine of number {other}"),
        }
    }

    /// Whether it is loaded wherever the kernel likes (`ET_DYN`).
    ///
    /// # Errors
    /// When the file is cut short.
    pub fn is_relocatable(&self) -> Result<bool> {
        Ok(self.number(16, 2)? == 3)
    }

    /// What it needs to start: a loader, or a library.
    ///
    /// # Errors
    /// When the file is cut short.
    pub fn needs(&self) -> Result<Vec<String>> {
        let mut needs = Vec::new();
        let (table, size, count) = (self.number(32, 8)?, self.number(54, 2)?, self.number(56, 2)?);
        for header in (0..count).map(|index| table + index * size) {
            let (at, length) = (self.number(header + 8, 8)?, self.number(header + 32, 8)?);
            match u32::try_from(self.number(header, 4)?)? {
                INTERPRETER => needs.push(String::from_utf8_lossy(self.part(at, length)?).into_owned()),
                DYNAMIC => {
                    for entry in (at..at + length).step_by(16) {
                        if self.number(entry, 8)? == NEEDED {
                            needs.push(format!("a library, at {} of its names", self.number(entry + 8, 8)?));
                        }
                    }
                }
                _ => {}
            }
        }
        Ok(needs)
    }

    /// The packages that it is made of, as `cargo auditable` lists them.
    ///
    /// # Errors
    /// When it has no such list.
    pub fn dependencies(&self) -> Result<Value> {
        let mut text = String::new();
        ZlibDecoder::new(self.section(DEPENDENCIES)?).take(MOST).read_to_string(&mut text)?;
        Ok(serde_json::from_str(&text)?)
    }

    fn section(&self, wanted: &str) -> Result<&[u8]> {
        let (table, size, count) = (self.number(40, 8)?, self.number(58, 2)?, self.number(60, 2)?);
        let place = |index: u64| -> Result<(u64, u64)> {
            let header = table + index * size;
            Ok((self.number(header + 24, 8)?, self.number(header + 32, 8)?))
        };
        let (names, length) = place(self.number(62, 2)?)?;
        let names = self.part(names, length)?;
        for index in 0..count {
            let name = usize::try_from(self.number(table + index * size, 4)?)?;
            let name = names.get(name..).context("a name beyond the names")?;
            if name.split(|byte| *byte == 0).next() == Some(wanted.as_bytes()) {
                let (at, length) = place(index)?;
                return self.part(at, length);
            }
        }
        anyhow::bail!("there is no section {wanted}")
    }

    fn part(&self, at: u64, length: u64) -> Result<&[u8]> {
        let (at, length) = (usize::try_from(at)?, usize::try_from(length)?);
        self.bytes.get(at..).and_then(|rest| rest.get(..length)).context("the file is cut short")
    }

    fn number(&self, at: u64, length: u64) -> Result<u64> {
        Ok(self.part(at, length)?.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte)))
    }
}
