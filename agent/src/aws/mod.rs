//! What the AWS SDKs on this host see and do, without asking any of them: the shared files (`ini`), as each of them reads
//! those (`grammar`), what one process sees (`view`), which credentials each SDK picks there (`chain`), and which of them run (`processes`).

mod botocore;
pub mod chain;
mod dotnet;
mod go;
mod grammar;
pub mod ini;
mod java;
mod js;
pub mod known;
mod link;
mod parser;
mod powershell;
pub mod processes;
pub mod proxy;
mod rust;
pub mod sdk;
mod section;
mod step;
mod store;
pub mod view;
