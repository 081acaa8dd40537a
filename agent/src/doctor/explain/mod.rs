//! `doctor --explain`: from an error message of AWS to what it complains of, the skew that its times tell, and its cause on
//! this host.
//!
//! A message may hold keys, tokens and signatures: of its text nothing is repeated but the times, which are written anew.

pub mod answer;
pub mod complaint;
pub mod here;
pub mod host;
pub mod symptom;
pub mod times;
pub mod words;
