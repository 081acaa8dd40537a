//! The checks of what is exported, and of where to.

use std::net::SocketAddr;
use std::path::PathBuf;

use super::otlp::otlp;
use super::{default, raw};
use crate::credentials::imds::settings::Imds;
use crate::setting::fault::{Environment, Fault};
use crate::setting::locate::Path;
use crate::setting::path::absolute;
use crate::telemetry::settings::Telemetry;

/// Other files are passed over by node_exporter.
const TEXTFILE: &str = ".prom";

/// Checks all of it.
pub(super) fn telemetry(
    given: Option<&raw::Telemetry>,
    imds: Option<&Imds>,
    env: Environment<'_>,
) -> Result<Telemetry, Fault> {
    let none = raw::Telemetry::default();
    let given = given.unwrap_or(&none);
    let at = Path::root("telemetry");
    Ok(Telemetry {
        detail: given.detail.as_ref().map(|named| named.0).unwrap_or_default(),
        otlp: otlp(given.otlp.as_ref(), imds, env)?,
        listen: given.prometheus.as_ref().map(|given| listen(given, &at.key("prometheus"))).transpose()?,
        textfile: given.textfile.as_deref().map(|text| textfile(text, &at.key("textfile"))).transpose()?,
    })
}

fn listen(given: &raw::Prometheus, at: &Path) -> Result<SocketAddr, Fault> {
    let Some(text) = &given.listen else { return Ok(default::PROMETHEUS) };
    let address = text.parse().ok().filter(|address: &SocketAddr| address.port() != 0);
    address.ok_or_else(|| {
        let example = default::PROMETHEUS;
        Fault::at(at.key("listen"), format!("write an IP address and a port, such as {example} or [::1]:9464"))
    })
}

fn textfile(text: &str, at: &Path) -> Result<PathBuf, Fault> {
    let path = absolute(text, at)?;
    let is_read = path.file_name().is_some_and(|name| name.as_encoded_bytes().ends_with(TEXTFILE.as_bytes()));
    if is_read { Ok(path) } else { Err(Fault::at(at.clone(), "node_exporter reads only files that end with .prom")) }
}
