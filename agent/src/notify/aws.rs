//! Alerts to services of AWS.

use bytes::Bytes;
use reqwest::header::HeaderMap;
use tokio::time::timeout;

use super::attempt::Attempt;
use crate::delivery::aws_refusal::judged;
use crate::delivery::item::Class;
use crate::delivery::request::{Answer, Failure};
use crate::delivery::signature::{Service, Unsigned, signed};
use crate::setting::arn::{self, Place, place};
use crate::setting::fault::Fault;
use crate::setting::locate::Path;
use crate::setting::url::WebUrl;

/// Checks the ARN that stands at `key` of a target, and the URL of its service: the given one is a scheme and a host, and
/// where none is given it is the one by the ARN. Returns the region.
pub(super) fn check_place(
    (key, arn): (&str, &str),
    service: arn::Service,
    given: &mut Option<WebUrl>,
    at: &Path,
) -> Result<String, Fault> {
    let found = place(arn, service);
    let Place { region, endpoint } = found.map_err(|error| Fault::at(at.key(key), error.to_string()))?;
    let checked = match given {
        None => WebUrl::unchecked(endpoint),
        Some(given) => given.origin().ok_or_else(|| {
            let message = format!("the endpoint is http:// or https:// and a host, without a path, such as {endpoint}");
            Fault::at(at.key("endpoint"), message)
        })?,
    };
    *given = Some(checked);
    Ok(region)
}

impl Attempt<'_> {
    /// Sends one POST to `service` at `endpoint`, signed. All of it takes no longer than an attempt may.
    ///
    /// # Errors
    /// There are no keys, nobody answers, or AWS refuses; the reason has AWS's code of the error.
    pub async fn post_signed(
        &mut self,
        service: Service<'_>,
        endpoint: Option<&WebUrl>,
        headers: HeaderMap,
        body: Bytes,
    ) -> Result<Answer, Failure> {
        timeout(self.road.timeout, self.sign_and_post(service, endpoint, headers, body))
            .await
            .unwrap_or_else(|_| Err(Failure::transient("no answer in time")))
    }

    async fn sign_and_post(
        &mut self,
        service: Service<'_>,
        endpoint: Option<&WebUrl>,
        mut headers: HeaderMap,
        body: Bytes,
    ) -> Result<Answer, Failure> {
        // It may be mended.
        let url =
            endpoint.and_then(WebUrl::parts).ok_or_else(|| Failure::transient("the endpoint is no URL"))?.to_string();
        let unsigned = Unsigned { method: "POST", url: &url, headers: &headers, body: &body };
        let signature = signed(&unsigned, service, self.road.imds.as_ref(), &self.road.clock).await?;
        headers.extend(signature);
        let outcome = self.post(&WebUrl::unchecked(url), headers, body).await;
        outcome.map_err(|failure| judged(failure, Class::Alert))
    }
}

#[cfg(test)]
pub(super) mod tests {
    use tokio::sync::mpsc;

    use super::*;
    use std::sync::Arc;
    use std::time::Duration;

    use crate::alert::machine::Change;
    use crate::clock::true_clock::TrueClock;
    use crate::credentials::imds::fake;
    use crate::delivery::client::tests::plain;
    use crate::delivery::policy::Again;
    use crate::demo::http::{Request, Response, start};
    use crate::notify::attempt::Road;
    use crate::notify::message::tests::{item, skew};
    use crate::notify::targets::sns::Sns;
    use crate::notify::targets::target::{Target, attempt};
    use crate::time::{Anchor, rfc3339};

    /// An AWS of which this host's clock knows nothing: its time is two days ahead.
    pub(in crate::notify) fn aws(imds: Option<&str>) -> Road {
        let clock = TrueClock::default();
        let system = clock.now().time.nanos();
        let boot = crate::clock::local::boot().nanos();
        clock.set(Anchor::from_nanos(system - boot + 2 * 86_400 * 1_000_000_000), true);
        let timeout = Duration::from_secs(20);
        Road { client: plain(), imds: imds.map(fake::config), clock: Arc::new(clock), timeout }
    }

    /// A service that gives one answer to everything, and what it was asked.
    pub(in crate::notify) async fn service(
        status: u16,
        body: &'static str,
    ) -> (String, mpsc::UnboundedReceiver<Request>) {
        let (sender, seen) = mpsc::unbounded_channel();
        let address = start(move |request| {
            let _ = sender.send(request);
            Response { status, ..Response::ok(body) }
        });
        (format!("http://{}", address.await.unwrap()), seen)
    }

    /// What a target makes of an answer.
    pub(in crate::notify) async fn judged_by(
        target: &dyn Target,
        imds: &fake::Fake,
        item: &crate::delivery::item::Item,
    ) -> (String, Again) {
        let failure = attempt(target, &aws(Some(&imds.endpoint)), item).await.unwrap_err();
        let shown = format!("{failure:?}");
        assert!(!fake::SECRETS.iter().any(|secret| shown.contains(secret)), "{shown}");
        (failure.reason, failure.again)
    }

    /// A topic whose service is at `url`.
    fn topic(url: &str) -> Sns {
        let endpoint = Some(WebUrl::unchecked(url.to_owned()));
        Sns { topic: String::new(), region: "eu-central-1".into(), endpoint }
    }

    #[tokio::test]
    async fn keys_are_fetched_for_every_request_and_the_date_is_true_time() {
        let imds = fake::Fake::healthy([]).await;
        let (endpoint, mut seen) = service(200, "").await;
        let aws = aws(Some(&imds.endpoint));
        for fetches in 1..=2 {
            attempt(&topic(&endpoint), &aws, &item(&skew(Change::Firing))).await.unwrap();
            assert_eq!(imds.count(fake::DOCUMENT_ROUTE), fetches);
            let request = seen.recv().await.unwrap();
            let [date, authorization] = ["x-amz-date", "authorization"].map(|name| request.header(name).unwrap());
            let truth = rfc3339(aws.clock.now().time.nanos()).replace('-', "");
            assert!(date.starts_with(&truth[..8]), "{date} at {truth}");
            let scope = format!("Credential={}/{}/eu-central-1/sns/aws4_request", fake::SECRETS[0], &truth[..8]);
            assert!(authorization.contains(&scope), "{authorization}");
            assert_eq!(request.header("x-amz-security-token"), Some(fake::SECRETS[2]));
        }
    }

    #[tokio::test]
    async fn without_keys_nothing_is_sent_and_the_reason_is_told() {
        let imds = fake::Fake::healthy([(fake::DOCUMENT_ROUTE, vec![fake::Reply::status(404)])]).await;
        let (endpoint, mut seen) = service(200, "").await;
        for (imds, reason) in [
            (Some(imds.endpoint.as_str()), "no keys to sign with: the listed role has no credentials"),
            (None, "no keys to sign with: credentials.imds is disabled in the configuration"),
        ] {
            let failure = attempt(&topic(&endpoint), &aws(imds), &item(&skew(Change::Firing))).await.unwrap_err();
            assert_eq!((failure.again, failure.reason.as_str()), (Again::Soon, reason));
        }
        assert!(seen.try_recv().is_err());
    }

    #[tokio::test]
    async fn a_refusal_that_repeats_the_session_token_does_not_show_it() {
        let imds = fake::Fake::healthy([]).await;
        let body = "<Code>SignatureDoesNotMatch</Code><Message>should be x-amz-security-token:IQoJSessionExample";
        let (endpoint, _seen) = service(403, body).await;
        let road = aws(Some(&imds.endpoint));
        let failure = attempt(&topic(&endpoint), &road, &item(&skew(Change::Firing))).await.unwrap_err();
        assert_eq!((failure.again, failure.reason.as_str()), (Again::Soon, "status 403: SignatureDoesNotMatch"));
        assert_eq!(failure.answer.unwrap().body.as_ref(), b"SignatureDoesNotMatch");
    }
}
