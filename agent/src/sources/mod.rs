//! The sources of time: who is asked, how each is asked, and how often. A file or a folder for each kind, which says what
//! may be written of it, checks that, and asks.
//!
//! The list below is the only one: the keys of a source, its schema, what `config show` writes, what messages name and
//! what the documentation lists are made of it.

pub mod http_date;
pub mod kind;
pub mod ntp;
pub mod pace;
pub mod phc;
pub mod poller;
pub mod refusal;
pub mod source;
pub mod witness;

mod list;
#[cfg(test)]
mod tests;

list::kinds! {
    ntp: Server,
    http_date: Endpoint,
    phc: Phc,
}
