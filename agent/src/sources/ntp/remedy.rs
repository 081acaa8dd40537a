//! What mends it where an NTP server gives no time.

use sntpc::KissOfDeathCode;

use super::refusal::Refusal;
use super::server::Server;
use crate::clock::sample::Failure;
use crate::sys::WORDS;

/// What needs no UDP.
const BY_HTTP: &str = "or ask AWS's own clock over TCP 443 there: `- { name: aws, http_date: aws }`";

/// What mends it where `server` was refused in these words, on a host that is an EC2 instance or not.
pub(super) fn remedy(server: &Server, refusal: &str, is_ec2: bool) -> String {
    let refusal = Refusal::ALL.into_iter().find(|one| one.to_string() == refusal);
    match refusal {
        Some(Refusal::Unresolved) => {
            format!("`{} {server}` asks the resolver of this host; 169.254.169.123 needs none", WORDS.resolve)
        }
        Some(Refusal::Timeout | Refusal::Network) if server.is_time_sync() && !is_ec2 => {
            format!("169.254.169.123 exists on EC2 alone: name servers that this host reaches under `sources`, {BY_HTTP}")
        }
        Some(Refusal::Timeout | Refusal::Network) if server.is_time_sync() => WORDS.find_firewall.to_owned(),
        Some(Refusal::Network) => {
            "a firewall rejects it or nobody listens there: let UDP 123 out (security group, host firewall), and see whether \
             the server runs NTP"
                .to_owned()
        }
        Some(Refusal::Timeout) | None => {
            format!(
                "let UDP 123 out to it and its replies in (security group, network ACL, host firewall), or take it out of \
                 `sources`, {BY_HTTP}"
            )
        }
        Some(Refusal::Kiss(KissOfDeathCode::Rate)) => "it is asked too often: raise `poll` of this source".to_owned(),
        Some(Refusal::Kiss(KissOfDeathCode::Deny | KissOfDeathCode::Rstr)) => {
            "it does not serve this host: take it out of `sources`, or ask whoever runs it".to_owned()
        }
        Some(refusal) if refusal.failure() == Failure::Unsynchronized => {
            "its server does not know the time: mend that, or name another under `sources`".to_owned()
        }
        Some(_) => "what answers there is no NTP server in order: check the address, and what stands in between".to_owned(),
    }
}
