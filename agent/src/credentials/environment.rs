//! The credentials in the environment of the agent itself. Of another process only the doctor reads it.

use async_trait::async_trait;

use super::Provider;
use super::document::time;
use super::lease::{Lease, Unavailable};
use super::provide::{Around, Provide, Renewal};
use super::round::{Read, Reading, Round};
use super::timestamp::{self, Basis};
use crate::setting::fault::{self, Fault};
use crate::setting::locate::Path;

/// The variable that says when the keys beside it expire.
const EXPIRATION: &str = "AWS_CREDENTIAL_EXPIRATION";
/// The key and its secret.
const PAIR: [&str; 2] = ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"];

/// The environment says when its credentials expire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings;

impl Provide for Settings {
    const NAME: &'static str = "environment";
    const RENEWAL: Renewal = Renewal::Tool;
    const RENEW: &'static str = "start the process anew with new credentials: what stands in an environment cannot be renewed; a role \
         (instance profile, task role, service account) can";
    const READS: &'static str = "`AWS_CREDENTIAL_EXPIRATION`";
    const EXPIRES_BY: &'static str = "AWS";

    type Written = ();

    fn check(_: Option<&()>, _: &Path, around: &Around<'_>) -> Result<Option<Self>, Fault> {
        Ok(says_when(around.env).then_some(Self))
    }

    fn written(_: Option<&Self>) -> Option<()> {
        None
    }

    fn reader(&self, env: fault::Environment<'_>) -> Option<Box<dyn Read>> {
        Some(Box::new(Environment::from_env(env)))
    }
}

/// Whether there are keys, and an expiration beside them: one that was left alone is nobody's.
fn says_when(env: &dyn Fn(&str) -> Option<String>) -> bool {
    PAIR.into_iter().chain([EXPIRATION]).all(|name| env(name).is_some_and(|value| !value.trim().is_empty()))
}

/// Tells when the credentials of the environment expire. Keys without an expiration are no lease.
pub struct Environment {
    /// A process cannot be given another environment, so that it is looked at once.
    result: Option<Result<Lease, Unavailable>>,
}

impl Environment {
    /// The credentials of the environment as it is.
    pub fn from_env(env: &dyn Fn(&str) -> Option<String>) -> Self {
        let expiration = env(EXPIRATION).filter(|_| says_when(env));
        Self { result: expiration.map(|text| lease(&text)) }
    }
}

#[async_trait]
impl Read for Environment {
    fn provider(&self) -> Provider {
        Provider::Environment
    }

    async fn read(&mut self) -> Round {
        let result = self.result.clone().into_iter();
        Round::of(result.map(|result| Reading { slot: String::new(), result }).collect())
    }
}

fn lease(expiration: &str) -> Result<Lease, Unavailable> {
    let number = timestamp::epoch(expiration).map(|nanos| Ok(Basis::Server.at(nanos)));
    let expiration = Some(number.unwrap_or_else(|| time(expiration, Basis::Server))?);
    Ok(Lease { identity: "environment".to_owned(), code: None, kind: None, last_updated: None, expiration })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::marked::assert_unmarked;
    use super::*;
    use crate::time::rfc3339;

    async fn read(expiration: Option<&str>) -> Option<Result<Lease, Unavailable>> {
        let env = |name: &str| match name {
            EXPIRATION => expiration.map(str::to_owned),
            _ => Some("MARKERkey".to_owned()),
        };
        let mut environment = Environment::from_env(&env);
        let rounds = [environment.read().await, environment.read().await];
        rounds.iter().for_each(assert_unmarked);
        assert_eq!(rounds[0], rounds[1]);
        let [round, _] = rounds;
        round.readings.into_iter().next().map(|reading| reading.result)
    }

    #[tokio::test]
    async fn the_variable_says_when_the_keys_expire() {
        for text in ["2026-03-01T16:00:00Z", "2026-03-01T18:00:00+02:00", "2026-03-01T16:00:00+0000"] {
            let lease = read(Some(text)).await.unwrap().unwrap();
            let expiration = lease.expiration.unwrap();
            assert_eq!((lease.identity.as_str(), expiration.basis().name()), ("environment", "server"));
            assert_eq!(rfc3339(expiration.nanos()), "2026-03-01T16:00:00.000Z");
        }
    }

    #[tokio::test]
    async fn keys_alone_are_no_lease_and_what_is_no_time_is_malformed() {
        for nothing in [None, Some(""), Some("  ")] {
            assert_eq!(read(nothing).await, None);
        }
        for text in ["MARKERkey", "17723808", "soon"] {
            assert!(matches!(read(Some(text)).await, Some(Err(Unavailable::Malformed(_)))), "{text}");
        }
    }

    #[tokio::test]
    async fn an_expiration_that_was_left_without_its_keys_is_nobodys() {
        for left in [&[][..], &PAIR[..1], &PAIR[1..]] {
            let env = |name: &str| match name {
                EXPIRATION => Some("2026-03-01T16:00:00Z".to_owned()),
                name if left.contains(&name) => Some("MARKERkey".to_owned()),
                _ => Some(String::new()),
            };
            assert!(Environment::from_env(&env).read().await.readings.is_empty(), "{left:?}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text: String) {
            let _ = lease(&text);
        }
    }
}
