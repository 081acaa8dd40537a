//! What one answer of an HTTP server says of the time, and the many answers that say nothing.

use std::time::Duration;

use reqwest::StatusCode;
use reqwest::header::{AGE, DATE, HeaderMap, HeaderName, VIA};

use crate::built::BUILT;
use crate::clock::sample::{Failure, Sample, Timestamps};
use crate::sources::refusal;
use crate::time::{Anchor, BootTime, NANOS_PER_SECOND, Span, TrueTime};
use crate::web::bootstrap::Validity;
use crate::web::date;

/// A server may keep its date for so long: lighttpd was measured at 0.44 s, and nobody knows what AWS's front ends do.
const STALENESS: Span = Span::from_nanos(NANOS_PER_SECOND);
/// A date has whole seconds.
const RESOLUTION: Span = Span::from_nanos(NANOS_PER_SECOND);
/// What took longer says too little.
pub(super) const LONGEST: Duration = Duration::from_secs(10);
/// The reading error of this host's clock.
const OWN_PRECISION: Span = Span::from_nanos(1_000);

/// The headers of which AWS puts one on all that it answers itself.
const REQUEST_IDS: [HeaderName; 2] =
    [HeaderName::from_static("x-amzn-requestid"), HeaderName::from_static("x-amz-request-id")];
const X_CACHE: HeaderName = HeaderName::from_static("x-cache");

/// One answer, and when it was asked for and came.
pub(super) struct Answer<'a> {
    pub(super) status: StatusCode,
    pub(super) headers: &'a HeaderMap,
    /// When the request was sent.
    pub(super) sent: BootTime,
    /// When the headers had come.
    pub(super) arrived: BootTime,
    /// Whether AWS was asked.
    pub(super) is_aws: bool,
    /// When the certificate is valid, if nobody knew what time it is.
    pub(super) validity: Option<Validity>,
}

/// Why an answer says nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Refusal {
    /// Nothing came.
    #[error("no reply in time")]
    Timeout,
    /// Nothing came, and why, without any secret.
    #[error("the server cannot be asked: {0}")]
    Unreachable(String),
    /// A proxy wants credentials (407).
    #[error("a proxy on the way asks for credentials")]
    Proxy,
    /// 5xx: perhaps somebody on the way has written it.
    #[error("the server answers with a failure of its own, whose date may be anybody's")]
    Failed,
    /// From a cache.
    #[error("the answer came out of a cache")]
    Cached,
    /// Not from AWS.
    #[error("the answer has no request id of AWS: somebody on the way has written it")]
    NotAws,
    /// No date.
    #[error("the answer has no date")]
    NoDate,
    /// Several.
    #[error("the answer has several dates")]
    SeveralDates,
    /// No date of HTTP.
    #[error("the date of the answer cannot be read")]
    BadDate,
    /// Earlier than this program.
    #[error("the date of the answer is before this program was built")]
    BeforeBuild,
    /// Outside of the certificate by which the server showed who it is.
    #[error("at the date of the answer the certificate of the server was not valid")]
    OutsideCertificate,
    /// It took too long.
    #[error("the answer took longer than ten seconds")]
    Slow,
}

impl From<Refusal> for refusal::Refusal {
    fn from(refusal: Refusal) -> Self {
        let outcome = match refusal {
            Refusal::Timeout => return Self::TIMEOUT,
            Refusal::Unreachable(_) => "network",
            Refusal::Proxy => "proxy",
            Refusal::Failed => "server-failure",
            Refusal::Cached => "cached",
            Refusal::NotAws => "not-aws",
            Refusal::NoDate | Refusal::SeveralDates | Refusal::BadDate => "no-date",
            Refusal::BeforeBuild | Refusal::OutsideCertificate => "implausible",
            Refusal::Slow => "slow",
        };
        Self { outcome, text: refusal.to_string().into(), failure: Failure::Unanswered, is_too_often: false }
    }
}

impl Refusal {
    /// What mends it where an answer was refused in these words.
    pub(super) fn remedy(refusal: &str) -> String {
        let is = |one: &Self| one.to_string() == refusal;
        let text = if is(&Self::Proxy) {
            "give the agent the proxy with its credentials (HTTPS_PROXY in its environment), or except the server by NO_PROXY"
        } else if is(&Self::Cached) || is(&Self::NotAws) {
            "something between this host and the server answers for it: let the proxy pass it through, or ask another server"
        } else if is(&Self::BeforeBuild) || is(&Self::OutsideCertificate) {
            "the clock of the server, or of something that answers for it, is wrong: ask another server"
        } else if is(&Self::Timeout) || is(&Self::Slow) || refusal.starts_with("the server cannot be asked") {
            "let TCP 443 out to it (security group, network ACL, proxy), use an interface endpoint of the VPC for it, or take \
             it out of `sources`"
        } else {
            "ask another server, or take it out of `sources`"
        };
        text.to_owned()
    }
}

impl Answer<'_> {
    /// What it says. The date was made between the sending and the arrival, and is up to a second and the staleness older
    /// than the time at which it was made: the truth is in that interval, and nowhere in it rather than elsewhere.
    ///
    /// # Errors
    /// Why it says nothing.
    pub(super) fn sample(&self) -> Result<Sample, Refusal> {
        let date = self.date()?;
        let delay = self.arrived.since(self.sent).max(Span::ZERO);
        if delay > Span::from_duration(LONGEST) {
            return Err(Refusal::Slow);
        }
        if date < BUILT {
            return Err(Refusal::BeforeBuild);
        }
        if self.validity.is_some_and(|validity| !validity.contains(date)) {
            return Err(Refusal::OutsideCertificate);
        }
        let late = RESOLUTION.plus(STALENESS).half();
        let middle = date.plus(late).anchored(self.sent.plus(delay.half()));
        Ok(Sample {
            at: self.arrived,
            anchor: Anchor::from_nanos(middle.nanos()),
            delay,
            root_delay: Span::ZERO,
            root_dispersion: late,
            precision: OWN_PRECISION,
            stratum: None,
            timestamps: Timestamps::HttpDate,
        })
    }

    fn date(&self) -> Result<TrueTime, Refusal> {
        if self.status == StatusCode::PROXY_AUTHENTICATION_REQUIRED {
            return Err(Refusal::Proxy);
        }
        if self.status.is_server_error() {
            return Err(Refusal::Failed);
        }
        let has = |name: &HeaderName, part: &str| {
            let values = self.headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
            values.map(str::to_ascii_lowercase).any(|value| value.contains(part))
        };
        if self.headers.contains_key(AGE) || has(&X_CACHE, "hit") || has(&VIA, "cloudfront") {
            return Err(Refusal::Cached);
        }
        if self.is_aws && !REQUEST_IDS.iter().any(|id| self.headers.contains_key(id)) {
            return Err(Refusal::NotAws);
        }
        let mut dates = self.headers.get_all(DATE).iter();
        match (dates.next(), dates.next()) {
            (None, _) => Err(Refusal::NoDate),
            (Some(_), Some(_)) => Err(Refusal::SeveralDates),
            (Some(date), None) => date.to_str().ok().and_then(date::parse).ok_or(Refusal::BadDate),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW: i64 = 1_800_000_000;

    fn headers(lines: &[(&'static str, &str)]) -> HeaderMap {
        lines.iter().map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap())).collect::<HeaderMap>()
    }

    fn written(seconds: i64) -> String {
        chrono::DateTime::from_timestamp(seconds, 0).unwrap().format("%a, %d %b %Y %H:%M:%S GMT").to_string()
    }

    fn answer(headers: &HeaderMap) -> Answer<'_> {
        let (sent, arrived) = (BootTime::from_seconds(100.0), BootTime::from_seconds(100.2));
        Answer { status: StatusCode::OK, headers, sent, arrived, is_aws: false, validity: None }
    }

    #[test]
    fn a_date_is_an_interval_of_two_seconds_and_the_way() {
        let headers = headers(&[("date", &written(NOW))]);
        let sample = answer(&headers).sample().unwrap();
        let (low, high) = (NOW as f64 - 100.2, NOW as f64 + 2.0 - 100.0);
        let (middle, half) = (sample.anchor.seconds(), sample.root_distance().seconds());
        assert!((middle - half - low).abs() < 1e-3 && (middle + half - high).abs() < 1e-3, "{sample:?}");
        assert_eq!((sample.stratum, sample.timestamps), (None, Timestamps::HttpDate));
    }

    #[test]
    fn what_somebody_else_may_have_written_says_nothing() {
        let date = written(NOW);
        let good = [("date", date.as_str()), ("x-amzn-requestid", "1")];
        let said = |more: &[(&'static str, &str)]| answer(&headers(&[&good, more].concat())).sample().err();
        assert_eq!(said(&[]), None);
        assert_eq!(said(&[("via", "1.1 squid")]), None, "a proxy that passes it through changes nothing");
        assert_eq!(said(&[("x-cache", "Miss from cloudfront")]), None);
        for (name, value) in
            [("age", "17280"), ("age", "0"), ("x-cache", "Hit from cloudfront"), ("via", "1.1 x.CloudFront.net")]
        {
            assert_eq!(said(&[(name, value)]), Some(Refusal::Cached), "{name}: {value}");
        }
        let plain = headers(&[("date", &date)]);
        let refused = |answer: Answer<'_>| answer.sample().unwrap_err();
        assert_eq!(refused(Answer { is_aws: true, ..answer(&plain) }), Refusal::NotAws);
        for id in ["x-amzn-requestid", "x-amz-request-id"] {
            let headers = headers(&[("date", &date), (id, "1")]);
            assert!(
                Answer { is_aws: true, status: StatusCode::FORBIDDEN, ..answer(&headers) }.sample().is_ok(),
                "{id}"
            );
        }
        assert_eq!(
            refused(Answer { status: StatusCode::PROXY_AUTHENTICATION_REQUIRED, ..answer(&plain) }),
            Refusal::Proxy
        );
        assert_eq!(refused(Answer { status: StatusCode::BAD_GATEWAY, ..answer(&plain) }), Refusal::Failed);
        assert_eq!(refused(Answer { arrived: BootTime::from_seconds(110.3), ..answer(&plain) }), Refusal::Slow);
        let two = {
            let mut two = plain.clone();
            two.append(DATE, date.parse().unwrap());
            two
        };
        assert_eq!(refused(answer(&two)), Refusal::SeveralDates);
        assert_eq!(refused(answer(&HeaderMap::new())), Refusal::NoDate);
        for odd in ["", "yesterday", "Sun, 32 Jan 2027 08:00:00 GMT", "2027-01-15T08:00:00Z"] {
            assert_eq!(refused(answer(&headers(&[("date", odd)]))), Refusal::BadDate, "{odd}");
        }
        let old = headers(&[("date", &written(BUILT.nanos() / NANOS_PER_SECOND - 1))]);
        assert_eq!(refused(answer(&old)), Refusal::BeforeBuild);
        let at = |from, to| Validity { from: TrueTime::from_seconds(from), to: TrueTime::from_seconds(to) };
        let (then, later) = (at(NOW as f64, NOW as f64), at(NOW as f64 + 1.0, NOW as f64 + 2.0));
        assert!(Answer { validity: Some(then), ..answer(&plain) }.sample().is_ok());
        assert_eq!(refused(Answer { validity: Some(later), ..answer(&plain) }), Refusal::OutsideCertificate);
    }

    #[test]
    fn each_refusal_has_an_outcome_of_its_own_kind_and_a_remedy() {
        for refusal in [
            Refusal::Timeout,
            Refusal::Unreachable("no connection".into()),
            Refusal::Proxy,
            Refusal::Cached,
            Refusal::NotAws,
            Refusal::OutsideCertificate,
            Refusal::Slow,
            Refusal::NoDate,
        ] {
            let remedy = Refusal::remedy(&refusal.to_string());
            let is_known = !remedy.starts_with("ask another");
            assert_eq!(is_known, refusal != Refusal::NoDate, "{refusal}: {remedy}");
            let told: refusal::Refusal = refusal.into();
            assert_eq!(told.failure, Failure::Unanswered);
        }
    }

    proptest! {
        /// However far the clocks are apart, however the way is split and however old the date is that the server keeps.
        #[test]
        fn the_truth_is_inside(
            anchor in 1_700_000_000.0_f64..2_000_000_000.0, boot in 0.0_f64..1e7,
            there in 0.0_f64..5.0, back in 0.0_f64..4.9, stale in 0.0_f64..1.0,
        ) {
            let made = anchor + boot + there - stale;
            #[expect(clippy::cast_possible_truncation, reason = "a date")]
            let headers = headers(&[("date", &written(made.floor() as i64))]);
            let (sent, arrived) = (BootTime::from_seconds(boot), BootTime::from_seconds(boot + there + back));
            match (Answer { sent, arrived, ..answer(&headers) }).sample() {
                Ok(sample) => {
                    let off = (sample.anchor.seconds() - anchor).abs();
                    prop_assert!(off <= sample.root_distance().seconds() + 1e-5, "{off} {sample:?}");
                }
                Err(refusal) => prop_assert_eq!(refusal, Refusal::BeforeBuild),
            }
        }

        #[test]
        fn no_header_makes_it_panic(date in "[ -~]{0,40}", age in "[ -~]{0,10}", status in 100_u16..1000) {
            let headers = headers(&[("date", &date), ("x-cache", &age)]);
            let _ = Answer { status: StatusCode::from_u16(status).unwrap(), ..answer(&headers) }.sample();
        }
    }
}
