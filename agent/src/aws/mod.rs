//! What the AWS SDKs on this host see and do, without asking any of them: the shared files (`ini`), what one process sees
//! (`view`), which credentials each SDK picks there (`chain`), and which of them run (`processes`).

mod botocore;
pub mod chain;
mod go;
pub mod ini;
mod java;
mod js;
mod link;
pub mod processes;
pub mod proxy;
mod rust;
pub mod sdk;
mod step;
pub mod view;
