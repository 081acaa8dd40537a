//! The credentials in the environment of the agent itself. Of another process only the doctor reads it.

use async_trait::async_trait;

use super::Provider;
use super::document::time;
use super::lease::{Lease, Unavailable};
use super::provide::{Around, Provide, Renewal};
use super::round::{Read, Reading, Round};
use super::timestamp::Basis;
use crate::setting::fault::{self, Fault, is_set};
use crate::setting::locate::Path;

/// The variable that says when the keys beside it expire.
const EXPIRATION: &str = "AWS_CREDENTIAL_EXPIRATION";

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
        Ok(is_set(around.env, EXPIRATION).then_some(Self))
    }

    fn written(_: Option<&Self>) -> Option<()> {
        None
    }

    fn reader(&self, env: fault::Environment<'_>) -> Option<Box<dyn Read>> {
        Some(Box::new(Environment::from_env(env)))
    }
}

/// Tells when the credentials of the environment expire. Keys without an expiration are no lease.
pub struct Environment {
    /// A process cannot be given another environment, so that it is looked at once.
    result: Option<Result<Lease, Unavailable>>,
}

impl Environment {
    /// The credentials of the environment as it is.
    pub fn from_env(env: &dyn Fn(&str) -> Option<String>) -> Self {
        let expiration = env(EXPIRATION).filter(|text| !text.trim().is_empty());
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
    let expiration = Some(time(expiration, Basis::Server)?);
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
        for text in ["MARKERkey", "1772380800", "soon"] {
            assert!(matches!(read(Some(text)).await, Some(Err(Unavailable::Malformed(_)))), "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text: String) {
            let _ = lease(&text);
        }
    }
}
