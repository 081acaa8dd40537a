//! Who takes the alerts of channels: a file for each target, which says what may be written of it, checks that, and sends.
//!
//! The list below is the only one: the keys of a channel, its schema, what `config show` writes, what messages name and
//! what the documentation lists are made of it.

pub mod alertmanager;
pub mod eventbridge;
pub mod pagerduty;
pub mod slack;
pub mod sns;
pub mod target;
pub mod webhook;

mod list;
#[cfg(test)]
mod tests;

list::targets! {
    webhook: Webhook,
    alertmanager: Alertmanager,
    pagerduty: PagerDuty,
    slack: Slack,
    sns: Sns,
    eventbridge: EventBridge,
}
