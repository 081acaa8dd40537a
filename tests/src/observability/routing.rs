//! How Alertmanager makes one page of what belongs together: what agents tell it themselves and what the rules tell of the
//! same is one alert, and a cause that many hosts share is one page.

use std::fmt::Write as _;

use super::alert::{BY_RULES, FLEET_CAUSE, HOST_SILENT};
use skewguard::assess::alerts::Kind;

const BEGIN: &str = "\
# Alertmanager for a fleet with skewguard: take `route` and `inhibit_rules` into your own, and send to whom you will.
# What agents send themselves (a channel `alertmanager`) and what the rules tell of the same is one alert.
route:
  receiver: operators
  # One notification for all hosts of a region, however many they are.
  group_by: [alertname, account_id, region]
  group_wait: 30s
  group_interval: 5m
  repeat_interval: 4h
  routes:
    # What a whole fleet has is told before what its hosts have.
    - matchers: ['alertname =~ \"fleet-.*\"']
      group_by: [alertname, account_id, region, kind]
      group_wait: 10s
receivers:
  - name: operators
    webhook_configs:
      - url: http://127.0.0.1:9095/
        # Of ten thousand hosts a few are enough.
        max_alerts: 50
inhibit_rules:
  # The agent itself was faster, and says more.
  - source_matchers: ['source = \"skewguard\"']
    target_matchers: ['source = \"BY_RULES\"']
    equal: [alertname, host, account_id, region, subject]
  # What is critical is not a warning as well.
  - source_matchers: ['severity = \"critical\"', 'host != \"\"']
    target_matchers: ['severity = \"warning\"', 'host != \"\"']
    equal: [alertname, host, account_id, region, subject]
  # A cause that many hosts share is told in place of these: a critical one of all, a warning of warnings.
";

/// The configuration.
pub fn alertmanager() -> String {
    let mut text = BEGIN.replace("BY_RULES", BY_RULES);
    for kind in Kind::ALL.map(Kind::name).into_iter().chain([HOST_SILENT]) {
        for (severity, of) in [("critical", ""), ("warning", ", 'severity = \"warning\"'")] {
            let _ = write!(
                text,
                "  - source_matchers: ['alertname = \"{FLEET_CAUSE}\"', 'kind = \"{kind}\"', 'severity = \"{severity}\"']\n    \
                 target_matchers: ['alertname = \"{kind}\"'{of}]\n    equal: [account_id, region]\n"
            );
        }
    }
    text
}
