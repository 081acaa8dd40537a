//! The agent of AWS that sets up an instance at its start, and its routes.
//!
//! Source: "Use the EC2Launch v2 agent" and "Use the EC2Launch v1 agent" in the guide of EC2. The second sets persistent
//! routes to the link-local services of AWS once, which an image takes along into other subnets, and a function of its module
//! sets them anew. The first sets routes that do not outlive a boot, at each boot.

use std::path::Path;

use super::reader::Reader;

/// The module of version 1.
const MODULE: &str = r"C:\ProgramData\Amazon\EC2-Windows\Launch\Module\Ec2Launch.psm1";
/// The service of version 2.
const SERVICE: &str = "Amazon EC2Launch";

/// Which agent there is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Launch {
    /// EC2Launch v1.
    V1,
    /// EC2Launch v2.
    V2,
    /// None of these.
    #[default]
    None,
}

impl Launch {
    /// Looks for it. Where both are there, the newer one is at work.
    pub fn read(reader: &Reader<'_>) -> Self {
        if reader.service(SERVICE).is_some() {
            return Self::V2;
        }
        match reader.system.file(Path::new(MODULE), 1) {
            Ok(_) => Self::V1,
            Err(_) => Self::None,
        }
    }

    /// What sets the routes anew, where the agent has such a command.
    pub fn add_routes(self) -> Option<String> {
        (self == Self::V1).then(|| format!("Import-Module {MODULE}; Add-Routes"))
    }

    /// What to know of the routes after the next boot.
    pub const fn at_boot(self) -> Option<&'static str> {
        match self {
            Self::V1 => Some("EC2Launch v1 sets persistent routes once, which an image takes along into other subnets"),
            Self::V2 => Some("EC2Launch v2 sets routes at each boot, which do not outlive it"),
            Self::None => None,
        }
    }
}
