//! Where a secret is kept, and how it is read at the moment of use.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use serde::de::Deserializer;
use serde::{Deserialize, Serialize, Serializer};

use super::masker::Masker;
use super::text::{self, inline_schema};

use crate::sys;

/// The longest secret, in bytes. A longer file was named by mistake.
const LONGEST: usize = 8 * 1024;

/// Where a secret is kept. The secret itself is refused where it is written, read at the moment of use, and dropped after
/// it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SecretRef {
    /// `env:NAME`
    Environment(String),
    /// `file:/path`
    File(PathBuf),
}

/// What is said of a text that is no reference. It does not repeat the text, which may be the secret itself.
fn not_a_reference(text: &str) -> &'static str {
    if text.starts_with("https://hooks.slack") {
        return "the URL of a Slack webhook is a secret, because whoever knows it can write there: write env:NAME for an \
                environment variable or file:/path for a file (the value is not shown)";
    }
    "a secret does not belong into this file: write env:NAME for an environment variable or file:/path for a file (the \
     value is not shown)"
}

/// A secret could not be read. Never holds any part of its value.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// The variable does not exist.
    #[error("environment variable {0} is not set: set it for the agent, for example with EnvironmentFile= in its unit")]
    Unset(String),
    /// The file cannot be opened or read.
    #[error(
        "failed to read the secret from {path}: {source}: the file must exist and the agent's user must be able to read it"
    )]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// There is no value.
    #[error("{0} holds no secret: it is empty")]
    Empty(SecretRef),
    /// The value cannot be a secret for its length.
    #[error("{0} is longer than 8 KiB: a secret is one short line")]
    TooLong(SecretRef),
    /// The value is no text.
    #[error("{0} is not UTF-8: write the secret as text")]
    NotText(SecretRef),
}

impl SecretRef {
    /// Understands `env:NAME` and `file:/path`; `None` for all else.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        if let Some(name) = text.strip_prefix("env:") {
            let first = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
            let rest = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
            return (first && rest).then(|| Self::Environment(name.to_owned()));
        }
        let path = text.strip_prefix("file:")?;
        let plain = !path.chars().any(char::is_control) && path.trim_end() == path;
        (path.len() > 1 && sys::is_absolute(path) && plain).then(|| Self::File(path.into()))
    }

    /// Reads the secret, without the newline at its end. `masker` masks it from now on.
    ///
    /// # Errors
    /// Where the variable or the file is missing, empty, longer than 8 KiB or not UTF-8. The error never contains the
    /// value.
    pub fn read(&self, masker: &mut Masker) -> Result<String, SecretError> {
        let bytes = match self {
            Self::Environment(name) => {
                let value = std::env::var_os(name).ok_or_else(|| SecretError::Unset(name.clone()))?;
                value.into_string().map_err(|_| SecretError::NotText(self.clone()))?.into_bytes()
            }
            Self::File(path) => {
                read_capped(path).map_err(|source| SecretError::Unreadable { path: path.clone(), source })?
            }
        };
        if bytes.len() > LONGEST {
            return Err(SecretError::TooLong(self.clone()));
        }
        let mut value = String::from_utf8(bytes).map_err(|_| SecretError::NotText(self.clone()))?;
        value.truncate(value.trim_end_matches(['\r', '\n']).len());
        if value.is_empty() {
            return Err(SecretError::Empty(self.clone()));
        }
        masker.hide(value.as_bytes());
        Ok(value)
    }
}

impl fmt::Display for SecretRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Environment(name) => write!(f, "env:{name}"),
            Self::File(path) => write!(f, "file:{}", path.display()),
        }
    }
}

impl<'de> Deserialize<'de> for SecretRef {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        text::read(deserializer, "env:NAME or file:/path", |text| {
            Self::parse(text).ok_or_else(|| not_a_reference(text))
        })
    }
}

impl Serialize for SecretRef {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

inline_schema!(SecretRef, "SecretRef", { "type": "string", "pattern": "^(env:[A-Za-z_][A-Za-z0-9_]*|file:/.+)$" });

/// Reads one byte more than is allowed, so that too much can be told from enough.
fn read_capped(path: &Path) -> io::Result<Vec<u8>> {
    // A pipe would keep the agent waiting.
    if !path.metadata()?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"));
    }
    let mut bytes = Vec::new();
    File::open(path)?.take(LONGEST as u64 + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(unix)]
    #[test]
    fn only_a_variable_or_an_absolute_path_is_a_reference() {
        for text in ["env:OPS_HOOK", "env:_x1", "file:/etc/skewguard/hook secret"] {
            assert_eq!(SecretRef::parse(text).expect(text).to_string(), text);
        }
        for text in ["", "hunter2", "env:", "env:1X", "env:A-B", "env:A B", "file:", "file:x", "file:/", "ENV:A"] {
            assert_eq!(SecretRef::parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_file_is_read_without_its_last_newline() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("secret");
        let secret = SecretRef::File(path.clone());
        std::fs::write(&path, "hunter2 \r\n").unwrap();
        assert_eq!(secret.read(&mut Masker::default()).unwrap(), "hunter2 ");
        std::fs::write(&path, vec![b'x'; LONGEST]).unwrap();
        assert_eq!(secret.read(&mut Masker::default()).unwrap().len(), LONGEST);
    }

    #[cfg(unix)]
    #[test]
    fn a_secret_that_cannot_be_read_is_told_without_its_value() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("secret");
        let (secret, shown) = (SecretRef::File(path.clone()), path.display());
        let error = |content: &[u8]| {
            std::fs::write(&path, content).unwrap();
            secret.read(&mut Masker::default()).unwrap_err().to_string()
        };
        assert_eq!(error(b"\n"), format!("file:{shown} holds no secret: it is empty"));
        assert_eq!(error(b"hunter2\xff"), format!("file:{shown} is not UTF-8: write the secret as text"));
        assert_eq!(
            error(&[b'x'; LONGEST + 1]),
            format!("file:{shown} is longer than 8 KiB: a secret is one short line")
        );
        std::fs::remove_file(&path).unwrap();
        assert_eq!(
            secret.read(&mut Masker::default()).unwrap_err().to_string(),
            format!(
                "failed to read the secret from {shown}: No such file or directory (os error 2): the file must exist \
                 and the agent's user must be able to read it"
            )
        );
        assert_eq!(
            SecretRef::Environment("SKEWGUARD_TEST_UNSET".into()).read(&mut Masker::default()).unwrap_err().to_string(),
            "environment variable SKEWGUARD_TEST_UNSET is not set: set it for the agent, for example with \
             EnvironmentFile= in its unit"
        );
    }

    #[cfg(unix)]
    #[test]
    fn a_variable_is_read() {
        assert_eq!(SecretRef::Environment("CARGO_PKG_NAME".into()).read(&mut Masker::default()).unwrap(), "skewguard");
    }
}
