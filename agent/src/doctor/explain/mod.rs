//! `doctor --explain`: from whatever somebody pastes to the errors of time and credentials in it, the skew that their times
//! tell, and their cause on this host.
//!
//! A paste is decoded (`decode`), its lines are freed of what stands around them (`lines`) and taken apart into errors
//! (`split`). Each is recognised by a table of wordings (`table`), of which the innermost cause wins (`find`). Its
//! times are read (`times`), what can cause it is said (`words`), and this host is looked at (`here`).
//!
//! A paste may hold keys, tokens and signatures: of its text nothing is repeated but the times, which are written anew.

pub mod answer;
pub mod explained;
pub mod host;
pub mod kind;
pub mod paste;
pub mod symptom;
pub mod times;

mod causes;
mod decode;
mod find;
mod folded;
mod here;
mod lines;
mod split;
mod stamp;
mod table;
mod words;
