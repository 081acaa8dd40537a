//! Which alerts a channel is told of, and who takes them.

use std::sync::Arc;

use crate::alert::machine::{Change, Transition};
use crate::config::checked::{Channel, Target};
use crate::delivery::request::Endpoint;

use super::webhook::WebhookEndpoint;

/// What a channel is told of a transition; `None` where nothing.
///
/// A channel of a severity sees an alert that falls below it as resolved.
pub fn told(channel: &Channel, transition: &Transition) -> Option<Change> {
    if channel.alerts.as_ref().is_some_and(|kinds| !kinds.contains(&transition.kind)) {
        return None;
    }
    let is_wanted = transition.severity >= channel.severity;
    let was_wanted = transition.before.is_some_and(|before| before >= channel.severity);
    match transition.change {
        change if is_wanted => Some(change),
        Change::Firing | Change::Repeated if was_wanted => Some(Change::Resolved),
        _ => None,
    }
}

/// Who takes what a channel is told.
pub fn endpoint(channel: &Channel, client: reqwest::Client) -> Arc<dyn Endpoint> {
    let timeout = channel.timeout;
    match &channel.target {
        Target::Webhook(webhook) => Arc::new(WebhookEndpoint { client, webhook: webhook.clone(), timeout }),
        Target::Alertmanager(_) | Target::PagerDuty(_) | Target::Slack(_) | Target::Sns(_) | Target::EventBridge(_) => {
            unreachable!("the configuration does not accept them yet")
        }
    }
}
