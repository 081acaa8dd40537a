//! A host with Windows: who keeps its clock, by which way the metadata service is reached, and whose credentials are found.
//!
//! [`crate::sys::system`] is what has to be asked of Windows and [`reader`] asks it; [`facts`] is what came of that, plain data of which
//! [`checks`] makes checks, and [`adopt`] fits what was judged by the files of Linux to Windows. All of it is the same on
//! every platform, so that it is tested on all of them.

pub mod adopt;
pub mod around;
pub mod checks;
pub mod credentials;
mod ec2;
pub mod facts;
pub mod host;
pub mod launch;
pub mod mend;
pub mod proxy;
pub mod reader;
pub mod routes;
#[cfg(test)]
mod scenes;
mod shell;
mod text;
pub mod vmic;
pub mod w32time;
pub mod zone;
