//! The credentials of this host: which there are, when they expire, and by whose clock. The secrets in them are never
//! kept.
//!
//! Each provider has a file. The list below is the only one: their names, the keys below `credentials`, their schema, what
//! `config show` writes, who is asked and what the documentation lists are made of it.

pub mod cache;
mod certificate;
pub mod cli_cache;
pub mod container;
mod document;
pub mod environment;
mod file;
mod homes;
pub mod http;
mod identity;
pub mod imds;
pub mod lease;
pub mod levels;
mod list;
pub mod login_cache;
#[cfg(test)]
mod marked;
pub mod named_file;
pub mod pointer;
pub mod poller;
pub mod provide;
pub mod round;
pub mod shared_file;
pub mod sso_cache;
#[cfg(test)]
mod tests;
pub mod timestamp;
pub mod web_identity;

list::providers! {
    /// The role of the instance.
    Imds as imds: imds::settings::Imds, at imds;
    /// The role of an ECS task, or EKS Pod Identity.
    Container as container: container::Settings, at container;
    /// The token of a Kubernetes service account, for which STS hands out credentials (IRSA).
    WebIdentity as web_identity: web_identity::Settings, at web_identity;
    /// The environment of the agent itself.
    Environment as environment: environment::Settings;
    /// `~/.aws/credentials`.
    SharedFile as shared_file: shared_file::Settings, at shared_file;
    /// `~/.aws/sso/cache`.
    SsoCache as sso_cache: cache::Caches<sso_cache::SsoCache>;
    /// `~/.aws/cli/cache`.
    CliCache as cli_cache: cache::Caches<cli_cache::CliCache>;
    /// `~/.aws/login/cache`.
    LoginCache as login_cache: cache::Caches<login_cache::LoginCache>;
    /// A file that the configuration names.
    File as files: named_file::Settings, at files;
}
