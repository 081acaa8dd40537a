//! Small files of the system, which are there or not.

use std::fs::File;
use std::io::Read;
use std::path::Path;

/// The most that is read of a file, in bytes.
const MOST: u64 = 4_096;

/// The text of a small file without the space around it; `None` where it cannot be read or is empty.
pub(crate) fn read(folder: &Path, file: &str) -> Option<String> {
    let mut bytes = Vec::new();
    File::open(folder.join(file)).ok()?.take(MOST).read_to_end(&mut bytes).ok()?;
    let text = String::from_utf8_lossy(&bytes).trim().to_owned();
    (!text.is_empty()).then_some(text)
}

#[cfg(test)]
pub(crate) mod tests {
    use std::fs;

    /// A root with these files below it, for whoever asks what kind of host it is.
    pub(crate) fn host(files: &[(&str, &str)]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for (path, content) in files {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }
        root
    }
}
