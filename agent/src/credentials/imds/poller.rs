//! The task that reads the credentials of the instance role, for as long as the agent runs.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, mpsc};

use super::client::{Fetch, ImdsClient, SetupError};
use super::host::HostIdentity;
use super::schedule::Schedule;
use crate::clock::true_clock::TrueClock;
use crate::credentials::Provider;
use crate::credentials::imds::settings::Imds;
use crate::credentials::lease::Unavailable;
use crate::credentials::round::{Polled, Round};
use crate::vitals::Pulse;

/// All requests of one round with all of their attempts take less than this.
const ROUND: Duration = Duration::from_secs(3_600);

/// Reads the credentials every `poll`, whenever `wake` says so and, once, what host this is, until the mailbox closes.
pub async fn run<E: From<Polled> + From<HostIdentity>>(
    mut client: ImdsClient,
    poll: Duration,
    clock: Arc<TrueClock>,
    mailbox: mpsc::Sender<E>,
    wake: Arc<Notify>,
    pulse: Pulse,
) {
    let mut schedule = Schedule::new(poll, fastrand::Rng::new());
    let mut host_is_known = false;
    loop {
        pulse.expect(ROUND);
        let fetch = client.credentials().await;
        let next: Duration = schedule.next(&fetch.result, clock.now().time);
        let reached = fetch.result.is_ok() || matches!(fetch.result, Err(Unavailable::NoRole));
        if mailbox.send(polled(fetch).into()).await.is_err() {
            return;
        }
        if reached
            && !host_is_known
            && let Some(host) = client.host().await
        {
            host_is_known = true;
            if mailbox.send(host.into()).await.is_err() {
                return;
            }
        }
        pulse.expect(next);
        tokio::select! {
            () = tokio::time::sleep(next) => {}
            () = wake.notified() => {}
            () = mailbox.closed() => return,
        }
    }
}

/// Reads the credentials once.
///
/// # Errors
/// The client cannot be set up.
pub async fn once(config: &Imds) -> Result<Polled, SetupError> {
    Ok(polled(ImdsClient::new(config)?.credentials().await))
}

fn polled(Fetch { result, requests }: Fetch) -> Polled {
    Polled { provider: Provider::Imds, round: Round::one(result, requests) }
}
