//! What a fleet is seen by, and what is committed of it below `deploy`: each alert and each recording is written once, here,
//! under the names that OpenTelemetry has for metrics and attributes. The agent's own alerts follow from its own table.
//!
//! - [`scheme`]: the names under which a backend keeps a metric.
//! - [`record`], [`alert`]: what is recorded, and what is told of it; [`rule`]: how a rule is written.
//! - [`panel`], [`dashboard`]: what is seen of it; [`grafana`], [`perses`], [`vmui`], [`cloudwatch`]: how each
//!   writes that.
//! - [`asked`]: what the committed dashboards ask.
//! - [`routing`]: how Alertmanager makes one page of what belongs together.
//! - [`fleet`]: fleets that rules are tried with; [`story`]: six hours of one, to look at.
//! - [`committed`]: the files, which a test compares; `SKEWGUARD_WRITE_DOCS=1 cargo test -p tests documented` writes them.

pub mod alert;
pub mod asked;
pub mod cloudwatch;
pub mod committed;
pub mod dashboard;
pub mod fleet;
pub mod grafana;
pub mod panel;
pub mod perses;
pub mod record;
pub mod routing;
pub mod rule;
pub mod scheme;
pub mod story;
pub mod vmui;
