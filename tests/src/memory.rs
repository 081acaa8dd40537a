//! The memory of a running process, searched for what must not be there.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::wait::wait_for;

/// How long a process may go on giving memory back while it is searched.
const DEADLINE: Duration = Duration::from_secs(10);

/// Which of the needles are anywhere in the memory of a process.
///
/// # Errors
/// When its memory cannot be read.
pub fn found<'a>(pid: u32, needles: &[&'a str]) -> Result<Vec<&'a str>> {
    // What a thread gives back meanwhile cannot be read any more; then the search begins again.
    let mut last = None;
    let searched = wait_for("memory that stays", DEADLINE, || match search(pid, needles) {
        Ok(found) => Some(found),
        Err(error) => {
            last = Some(error);
            None
        }
    });
    searched.map_err(|error| last.unwrap_or(error))
}

fn search<'a>(pid: u32, needles: &[&'a str]) -> Result<Vec<&'a str>> {
    // All is read before anything is searched, which takes far longer.
    let pieces = pieces(pid)?;
    let read: usize = pieces.iter().map(Vec::len).sum();
    ensure!(read > 1024 * 1024, "only {read} bytes were read");
    let is_found = |needle: &&str| {
        pieces.iter().any(|piece| piece.windows(needle.len()).any(|window| window == needle.as_bytes()))
    };
    Ok(needles.iter().copied().filter(is_found).collect())
}

fn pieces(pid: u32) -> Result<Vec<Vec<u8>>> {
    let memory = File::open(format!("/proc/{pid}/mem"))?;
    let maps = fs::read_to_string(format!("/proc/{pid}/maps"))?;
    let mut pieces = Vec::new();
    for line in maps.lines() {
        let mut fields = line.split_whitespace();
        let (range, permissions) = (fields.next().context("no range")?, fields.next().context("no permissions")?);
        // The kernel's own pages cannot be read, and hold nothing of the process.
        if !permissions.starts_with('r') || line.ends_with("[vvar]") || line.ends_with("[vvar_vclock]") {
            continue;
        }
        let (start, end) = range.split_once('-').context("no range")?;
        let (start, end) = (u64::from_str_radix(start, 16)?, u64::from_str_radix(end, 16)?);
        let mut bytes = vec![0; usize::try_from(end.saturating_sub(start))?];
        match memory.read_exact_at(&mut bytes, start) {
            Ok(()) => pieces.push(bytes),
            Err(_) if line.ends_with("[vsyscall]") => {}
            Err(error) => return Err(error).context(format!("{line} cannot be read")),
        }
    }
    Ok(pieces)
}
