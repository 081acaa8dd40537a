//! The files that follow from all this, and the test that compares them.

use std::path::{Path, PathBuf};

use anyhow::Result;

use super::routing;
use super::rule::file;
use super::scheme::Scheme;

const WRITTEN_BY: &str = "\
# Rules for a fleet with skewguard, for Prometheus, VictoriaMetrics, Mimir and Thanos: see README.md beside this file.
# `SKEWGUARD_WRITE_DOCS=1 cargo test -p tests documented` writes it.
";

/// The top of the project.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Every file, by its path from there.
///
/// # Errors
/// One cannot be written, which does not happen.
pub fn files() -> Result<Vec<(String, String)>> {
    let rules = |scheme| file(scheme).text(WRITTEN_BY);
    Ok(vec![
        ("deploy/rules/skewguard.rules.yaml".into(), rules(Scheme::Prometheus)?),
        ("deploy/rules/skewguard.dotted.rules.yaml".into(), rules(Scheme::Opentelemetry)?),
        ("deploy/kubernetes/skewguard/rules.yaml".into(), rules(Scheme::Prometheus)?),
        ("deploy/rules/alertmanager.yaml".into(), routing::alertmanager()),
    ])
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn what_is_committed_is_documented_as_the_lists_have_it() {
        for (path, expected) in files().unwrap() {
            let at = root().join(&path);
            if fs::read_to_string(&at).is_ok_and(|found| found == expected) {
                continue;
            }
            assert!(
                std::env::var_os("SKEWGUARD_WRITE_DOCS").is_some(),
                "{path} is not what the lists say; `SKEWGUARD_WRITE_DOCS=1 cargo test -p tests documented` writes it"
            );
            fs::create_dir_all(at.parent().unwrap()).unwrap();
            fs::write(at, expected).unwrap();
        }
    }
}
