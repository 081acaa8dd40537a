//! The times in an error message, and the skew that they tell.

use std::ops::{Range, RangeInclusive};

use super::decode::WRAP;
use super::folded::{Folded, Needle};
use super::kind::Kind;
use super::stamp::{self, Stamp};
use crate::time::{NANOS_PER_SECOND, Offset, Span, SystemTime, TrueTime, rfc3339};

/// How far a value stands behind its name at most.
const GAP: usize = 24;
/// How far apart the three times of a signature stand at most.
const REACH: usize = 400;
/// No service allows less than a minute, or more than a day.
const WINDOWS: RangeInclusive<Span> =
    Span::from_nanos(60 * NANOS_PER_SECOND)..=Span::from_nanos(86_400 * NANOS_PER_SECOND);

/// The times that an error message names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Times {
    /// When the request was signed, by the clock of whoever signed it.
    pub signed: Option<SystemTime>,
    /// When a certificate or a token was read, by the clock of whoever read it.
    pub read: Option<SystemTime>,
    /// When AWS judged it, by its own clock.
    pub judged: Option<TrueTime>,
    /// Until when it was good, by the clock of whoever issued it.
    pub good_until: Option<TrueTime>,
    /// From when on it was good, by the clock of whoever issued it.
    pub good_from: Option<TrueTime>,
    /// How far the two clocks may differ.
    pub window: Option<Span>,
    /// What the message itself calls the difference: positive where the clock was slow.
    pub difference: Option<Span>,
}

/// A text in which times are looked for.
pub(super) struct Page<'a> {
    pub(super) text: &'a str,
    pub(super) folded: &'a Folded,
}

impl Times {
    /// Those of a wording that stands at `hit` within an error.
    pub(super) fn of(page: &Page<'_>, kind: Kind, hit: &Range<usize>, entry: &Range<usize>) -> Self {
        match kind {
            Kind::SignatureExpired | Kind::SignatureNotYetCurrent => page.signature(hit.end, entry.end),
            Kind::WebIdentityExpired => Self {
                judged: page.after("current date/time", entry).map(true_time),
                good_until: page.after("expiration date/time", entry).map(true_time),
                ..Self::default()
            },
            Kind::CognitoExpired => page.compared(hit, entry),
            Kind::RequestTimeTooSkewed => page.skewed(entry),
            Kind::RequestExpired | Kind::RequestInTheFuture => page.requested(entry),
            Kind::PresignedExpired | Kind::PresignedNotYetValid => page.presigned(entry),
            Kind::CertificateNotYetValid | Kind::CertificateExpired => page.certificate(kind, entry),
            Kind::JwtExpired => Self {
                good_until: page
                    .after("jwt expired at", entry)
                    .or_else(|| page.after("has expired on", entry))
                    .map(true_time),
                read: page.after("current time:", entry).map(system_time),
                ..Self::default()
            },
            _ => Self::default(),
        }
    }

    /// How far the clock that signed, or that read a certificate of the future, was off: positive where it was slow.
    pub fn offset(&self) -> Option<Offset> {
        let told = self.difference.map(Offset::new);
        let apart = |ours: Option<SystemTime>, theirs: Option<TrueTime>| {
            Some(Offset::new(theirs?.since(TrueTime::from_nanos(ours?.nanos()))))
        };
        told.or_else(|| apart(self.signed, self.judged)).or_else(|| apart(self.read, self.good_from))
    }

    /// For how long it was not good any more when it was judged or read: never negative. A message by whose times it was
    /// still good does not tell it.
    pub fn overdue(&self) -> Option<Span> {
        let judged = self.judged.or_else(|| Some(TrueTime::from_nanos(self.read?.nanos())));
        let overdue = self.good_until.zip(judged).map(|(until, judged)| judged.since(until));
        overdue.filter(|overdue| *overdue >= Span::ZERO)
    }

    /// Whether the times of a kind stand behind its wording, so that each place of it may tell others. Those of other kinds
    /// stand anywhere in the error.
    pub(super) const fn are_of_a_place(kind: Kind) -> bool {
        matches!(kind, Kind::SignatureExpired | Kind::SignatureNotYetCurrent | Kind::CognitoExpired)
    }

    /// Whether all is there that a kind tells.
    pub(super) fn is_complete(&self) -> bool {
        self.offset().is_some() || self.overdue().is_some()
    }

    /// Each of them for people, written anew.
    pub fn lines(&self) -> Vec<String> {
        [
            self.signed.map(|time| format!("signed at {} by the clock of who signed it", rfc3339(time.nanos()))),
            self.read.map(|time| format!("read at {} by the clock of who read it", rfc3339(time.nanos()))),
            self.good_from.map(|time| format!("good from {} on", rfc3339(time.nanos()))),
            self.good_until.map(|time| format!("good until {}", rfc3339(time.nanos()))),
            self.judged.map(|time| format!("judged at {} by the service's clock", rfc3339(time.nanos()))),
            self.window.map(|window| format!("{} s of difference were allowed", window.seconds())),
        ]
        .into_iter()
        .flatten()
        .collect()
    }
}

const fn true_time(nanos: i64) -> TrueTime {
    TrueTime::from_nanos(nanos)
}

const fn system_time(nanos: i64) -> SystemTime {
    SystemTime::from_nanos(nanos)
}

impl Page<'_> {
    /// `A is now earlier than B (C - 5 min.)`: A was signed, C is AWS's time. Each stands where it belongs, or is not there.
    fn signature(&self, from: usize, end: usize) -> Times {
        let end = end.min(boundary(self.text, from.saturating_add(REACH)));
        let signed = self.stamp_at(from, end);
        let middle = ["is now earlier than", "is still later than"];
        let than = middle.iter().find_map(|words| self.folded.find(Needle::Words(words), from..end).next());
        let Some(than) = than else {
            return Times { signed: signed.map(|(at, _)| system_time(at.nanos)), ..Times::default() };
        };
        let limit = self.stamp_at(than.end, end);
        let judged = limit.and_then(|(_, behind)| self.stamp_at(behind, end));
        let minutes = judged.and_then(|(_, behind)| {
            // A terminal wraps where it pleases, within a number or a unit as well.
            let rest = self.text.get(behind..end)?.chars().take(40);
            let joined: String = rest.filter(|c| !matches!(*c, ' ' | '\n' | WRAP)).collect();
            let rest = joined.trim_start_matches(['-', '+']);
            let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
            let minutes: u16 = rest.get(..digits)?.parse().ok()?;
            let unit = rest.get(digits..)?;
            unit.get(..3).is_some_and(|unit| unit.eq_ignore_ascii_case("min")).then_some(minutes)
        });
        let window = minutes.map(|minutes| Span::from_seconds(f64::from(minutes) * 60.0));
        Times {
            signed: signed.map(|(at, _)| system_time(at.nanos)),
            judged: judged.map(|(at, _)| true_time(at.nanos)),
            window: window.filter(|window| WINDOWS.contains(window)),
            ..Times::default()
        }
    }

    /// The first complete pair of S3, what MinIO and Ceph say between their nodes, or what rclone has measured.
    fn skewed(&self, entry: &Range<usize>) -> Times {
        let window = self
            .number("MaxAllowedSkewMilliseconds", entry)
            .map(|milliseconds| Span::from_seconds(milliseconds / 1e3))
            .filter(|window| WINDOWS.contains(window));
        let rclone = || {
            let text = self.text.get(entry.clone())?;
            let at = self.folded.find(Needle::Words("time may be set wrong"), entry.clone()).next()?;
            let (_, rest) = text.get(at.end - entry.start..)?.split_once(" is ")?;
            let joined: String = rest.chars().take(40).filter(|c| !matches!(*c, '\n' | WRAP)).collect();
            // It tells local minus server.
            Some(Span::from_seconds(-stamp::duration(joined.split(' ').next()?)?))
        };
        let pairs = [
            ("RequestTime", "ServerTime"),
            ("client time", "server time"),
            ("req_time", "now"),
            ("request time:", "server time:"),
        ];
        let told = pairs.iter().find_map(|(signed, judged)| {
            let signed = self.values(signed, entry).next()?;
            Some((signed, self.values(judged, entry).next()?))
        });
        Times {
            signed: told.map(|(signed, _)| system_time(signed.nanos)),
            judged: told.map(|(_, judged)| true_time(judged.nanos)),
            window,
            difference: if told.is_none() { rclone() } else { None },
            ..Times::default()
        }
    }

    /// `Request timestamp: A expired`, and the `Date` of the answer beside it.
    fn requested(&self, entry: &Range<usize>) -> Times {
        let names = ["request timestamp", "timestamp date is", "timestamp date"];
        let signed = names.iter().find_map(|name| self.values(name, entry).next());
        let date = signed.and_then(|_| {
            self.folded.find(Needle::Words("date"), entry.clone()).find_map(|hit| {
                let before = self.text.get(entry.start..hit.start)?.trim_end_matches(['"', '\'', ' ']);
                let word = before.trim_end_matches(['\n', WRAP, ' ']);
                if word
                    .len()
                    .checked_sub(9)
                    .and_then(|at| word.get(at..))
                    .is_some_and(|word| word.eq_ignore_ascii_case("timestamp"))
                {
                    return None;
                }
                let is_header = before.is_empty() || before.ends_with(['(', '{', '[', ',', '<', '\n', WRAP]);
                self.stamp_at(hit.end, entry.end).filter(|(at, _)| is_header && at.is_zoned).map(|(at, _)| at)
            })
        });
        let window = self.number("it must be within", entry).map(Span::from_seconds);
        Times {
            signed: signed.map(|at| system_time(at.nanos)),
            judged: date.map(|at| true_time(at.nanos)),
            window: window.filter(|window| WINDOWS.contains(window)),
            ..Times::default()
        }
    }

    /// What its clock allowed a URL begins when it was signed. S3 tells `X-Amz-Date` in milliseconds where it is of the
    /// future, and not at all where it is over: then it is the end minus the length.
    fn presigned(&self, entry: &Range<usize>) -> Times {
        let good_until = self.values("Expires", entry).next().map(|at| true_time(at.nanos));
        let length = self.number("X-Amz-Expires", entry).map(Span::from_seconds);
        let begin = good_until.zip(length).map(|(until, length)| until.minus(length).nanos());
        Times {
            signed: self.values("X-Amz-Date", entry).next().map(|at| at.nanos).or(begin).map(system_time),
            judged: self.values("ServerTime", entry).next().map(|at| true_time(at.nanos)),
            good_until,
            ..Times::default()
        }
    }

    /// `current time A is before B`, and what Java and curl say of the one end.
    fn certificate(&self, kind: Kind, entry: &Range<usize>) -> Times {
        let read = self.values("current time", entry).next();
        let end = |words: &[&'static str]| words.iter().find_map(|words| self.values(words, entry).next());
        let (good_from, good_until) = match kind {
            Kind::CertificateNotYetValid => (end(&["is before", "notbefore"]), None),
            _ => (None, end(&["is after", "notafter"])),
        };
        Times {
            read: read.map(|at| system_time(at.nanos)),
            good_from: good_from.map(|at| true_time(at.nanos)),
            good_until: good_until.map(|at| true_time(at.nanos)),
            ..Times::default()
        }
    }

    /// `Token expired: A >= B`: A is the service's time, B the end.
    fn compared(&self, hit: &Range<usize>, entry: &Range<usize>) -> Times {
        let judged = self.stamp_at(hit.end, entry.end);
        let until = judged.and_then(|(_, behind)| {
            let rest = self.text.get(behind..entry.end)?.trim_start_matches([' ', '\n', WRAP]);
            rest.starts_with(">=").then(|| self.stamp_at(behind, entry.end))?
        });
        Times {
            judged: judged.map(|(at, _)| true_time(at.nanos)),
            good_until: until.map(|(at, _)| true_time(at.nanos)),
            ..Times::default()
        }
    }

    fn after(&self, introduction: &'static str, entry: &Range<usize>) -> Option<i64> {
        self.values(introduction, entry).next().map(|at| at.nanos)
    }

    /// The times that follow a name, which is not a part of another.
    fn values(&self, name: &'static str, entry: &Range<usize>) -> impl Iterator<Item = Stamp> {
        let end = entry.end;
        self.folded.find(Needle::Words(name), entry.clone()).filter_map(move |hit| {
            let before = self.text.get(..hit.start)?.chars().next_back();
            if before.is_some_and(|c| c == '-' || c == '_') {
                return None;
            }
            self.stamp_at(hit.end, end).map(|(at, _)| at)
        })
    }

    fn number(&self, name: &'static str, entry: &Range<usize>) -> Option<f64> {
        self.folded.find(Needle::Words(name), entry.clone()).find_map(|hit| {
            let rest = self.text.get(hit.end..entry.end)?;
            let skipped = rest.find(|c: char| !is_between(c)).filter(|skipped| *skipped <= GAP)?;
            let digits: String = rest
                .get(skipped..)?
                .chars()
                .filter(|c| !matches!(*c, '\n' | WRAP))
                .take_while(char::is_ascii_digit)
                .take(12)
                .collect();
            digits.parse::<u32>().ok().map(f64::from)
        })
    }

    /// The time that stands at a place, behind nothing but punctuation, and where it ends.
    fn stamp_at(&self, place: usize, end: usize) -> Option<(Stamp, usize)> {
        let rest = self.text.get(place..end)?;
        let skipped = rest.find(|c: char| !is_between(c)).filter(|skipped| *skipped <= GAP)?;
        let (stamp, taken) = stamp::read(rest.get(skipped..)?)?;
        Some((stamp, place + skipped + taken))
    }
}

/// The next place at or behind `place` where a character begins.
pub(super) fn boundary(text: &str, place: usize) -> usize {
    (place..text.len()).find(|place| text.is_char_boundary(*place)).unwrap_or(text.len())
}

/// What stands between a name and its value in XML, JSON, a query, or the output of a programming language.
fn is_between(c: char) -> bool {
    matches!(c, ' ' | '\n' | WRAP | '>' | '<' | '"' | '\'' | '\\' | ':' | '=' | '(' | '[' | ',' | '`' | '*' | '|')
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use proptest::prelude::*;

    use super::*;

    /// The times that the first wording of a kind has.
    fn times(text: &str, words: &'static str, kind: Kind) -> Times {
        let folded = Folded::of(text);
        let hit = folded.find(Needle::Words(words), 0..text.len()).next().unwrap_or(0..0);
        Times::of(&Page { text, folded: &folded }, kind, &hit, &(0..text.len()))
    }

    fn expired(text: &str) -> Times {
        times(text, "signature expired:", Kind::SignatureExpired)
    }

    fn offset(times: &Times) -> Option<f64> {
        times.offset().map(Offset::seconds)
    }

    #[test]
    fn the_skew_of_a_signature_is_aws_time_minus_its_own() {
        let slow = r#"{"message":"Signature expired: 20260301T120000Z is now earlier than 20260301T120959Z (20260301T121459Z - 5 min.)"}"#;
        assert_eq!(offset(&expired(slow)), Some(899.0), "slow");
        assert_eq!(expired(slow).window, Some(Span::from_seconds(300.0)));
        let fast = "Signature not yet current: 20260301T121000Z is still later than 20260301T120500Z (20260301T120000Z + 5 min.)";
        assert_eq!(
            offset(&times(fast, "signature not yet current:", Kind::SignatureNotYetCurrent)),
            Some(-600.0),
            "fast"
        );
        let cut = "SIGNATURE EXPIRED: 2026\n0301T120000Z is now\nearlier than 20260301T121500Z (20260301T12\n  3000Z - 15 MIN.)";
        assert_eq!(offset(&expired(cut)), Some(1_800.0), "cut");
        assert_eq!(expired(cut).window, Some(Span::from_seconds(900.0)));
    }

    #[test]
    fn what_stands_far_behind_a_signature_does_not_hide_its_times() {
        let text =
            "Signature expired: 20260301T120000Z is now earlier than 20260301T121500Z (20260301T122000Z - 5 min.)";
        for filler in 0..4 {
            let text = format!("{text}{}{}", "x".repeat(filler), "\u{20ac}".repeat(200));
            assert_eq!(offset(&expired(&text)), Some(1_200.0), "{filler}");
        }
    }

    #[test]
    fn no_value_takes_the_place_of_another() {
        for text in [
            "Signature expired: XXXX is now earlier than 20260301T120959Z (20260301T121459Z - 5 min.)",
            "Signature expired: 20260301T120000Z is now earlier than XXXX (20260301T121459Z - 5 min.)",
            "Signature expired: 20260301T120000Z is now earlier than 20260301T120959Z (202603",
            "Signature expired: 20260301T120000Z",
            "Signature expired: yesterday",
            "Signature expired:",
        ] {
            assert_eq!(offset(&expired(text)), None, "{text}");
        }
        let half = "<RequestTime>[redacted]</RequestTime><ServerTime>2026-03-01T12:20:00Z</ServerTime>";
        assert_eq!(times(half, "x", Kind::RequestTimeTooSkewed).signed, None);
    }

    #[test]
    fn a_window_that_no_service_has_is_not_believed() {
        for (window, told) in [("0", None), ("59999", None), ("60000", Some(60.0)), ("99999999999", None), ("-5", None)]
        {
            let text = format!("<RequestTime>x</RequestTime><MaxAllowedSkewMilliseconds>{window}<");
            assert_eq!(times(&text, "x", Kind::RequestTimeTooSkewed).window.map(Span::seconds), told);
        }
    }

    #[test]
    fn the_skew_that_s3_and_others_tell_is_read_from_whatever_prints_it() {
        for text in [
            "<RequestTime>20260301T120000Z</RequestTime><ServerTime>2026-03-01T12:20:00Z</ServerTime>\
             <MaxAllowedSkewMilliseconds>900000</MaxAllowedSkewMilliseconds>",
            "<RequestTime>\n  Sun, 01 Mar 2026 12:00:00 GMT</RequestTime>\n<ServerTime>\n  2026-03-01T12:20:00Z</ServerTime>",
            "{'RequestTime': '20260301T120000Z', 'ServerTime': '2026-03-01T12:20:00Z', 'MaxAllowedSkewMilliseconds': '900000'}",
            "RequestTime: 20260301T120000Z, ServerTime: 2026-03-01T12:20:00Z, MaxAllowedSkewMilliseconds: 900000, x",
            ":request_time=>x RequestTime=20260301T120000Z ServerTime=2026-03-01T12:20:00Z",
            "client time 2026-03-01 12:00:00 +0000 UTC is too apart with server time 2026-03-01 12:20:00.0 +0000 UTC",
            "NOTICE: request time skew too big now=2026-03-01 12:20:00.000000 req_time=2026-03-01 12:00:00.000000",
            "Time may be set wrong - time from \"b.example\" is -20m0s different from this computer",
        ] {
            assert_eq!(offset(&times(text, "x", Kind::RequestTimeTooSkewed)), Some(1_200.0), "{text}");
        }
    }

    #[test]
    fn a_request_that_tells_its_time_alone_is_compared_with_the_date_of_the_answer() {
        let text = "(\"Date\",\"Sun, 01 Mar 2026 12:10:00 GMT\") Request timestamp: Sun, 01 Mar 2026 12:00:00 +0000 expired. It must \
                    be within 300 secs/ of server time.";
        let told = times(text, "x", Kind::RequestExpired);
        assert_eq!((offset(&told), told.window), (Some(600.0), Some(Span::from_seconds(300.0))));
        let alone = times("Request has expired. Timestamp date is 2026-03-01T12:00:00.5Z.", "x", Kind::RequestExpired);
        assert!(alone.signed.is_some() && alone.judged.is_none(), "{alone:?}");
    }

    #[test]
    fn a_url_that_has_run_out_tells_how_late_it_came_and_one_of_the_future_tells_the_skew() {
        let late = "<X-Amz-Expires>300</X-Amz-Expires><Expires>2026-03-01T12:05:00Z</Expires>\
                    <ServerTime>2026-03-01T12:05:10Z</ServerTime>";
        let told = times(late, "x", Kind::PresignedExpired);
        assert_eq!(told.overdue(), Some(Span::from_seconds(10.0)));
        assert_eq!(told.signed.map(|time| rfc3339(time.nanos())).as_deref(), Some("2026-03-01T12:00:00.000Z"));
        let early = "<X-Amz-Date>1772366400000</X-Amz-Date><Expires>2026-03-02T12:00:00Z</Expires>\
                     <ServerTime>2026-03-01T11:00:00Z</ServerTime>";
        assert_eq!(offset(&times(early, "x", Kind::PresignedNotYetValid)), Some(-3_600.0));
        let (without, _) = late.split_once("<ServerTime>").unwrap();
        assert_eq!(times(without, "x", Kind::PresignedExpired).overdue(), None, "nobody tells when it came");
        let before = late.replace("12:05:10Z", "12:04:50Z");
        assert_eq!(times(&before, "x", Kind::PresignedExpired).overdue(), None, "it was good by its own times");
    }

    #[test]
    fn tokens_and_certificates_tell_how_late_or_early_they_came() {
        let web = "Token expired: current date/time 1772366598 must be before the expiration date/time1772366400";
        assert_eq!(times(web, "x", Kind::WebIdentityExpired).overdue(), Some(Span::from_seconds(198.0)));
        let login = "Invalid login token. Token expired: 1772366598 >= 1772366400";
        assert_eq!(times(login, "token expired:", Kind::CognitoExpired).overdue(), Some(Span::from_seconds(198.0)));
        let early = "x509: certificate has expired or is not yet valid: current time 2026-03-01T13:00:00+08:00 is before 2026-03-01T06:00:00Z";
        assert_eq!(offset(&times(early, "x", Kind::CertificateNotYetValid)), Some(3_600.0));
        let late = "current time 2026-03-01T13:00:00Z is after 2026-03-01T12:00:00Z";
        let late = times(late, "x", Kind::CertificateExpired);
        assert_eq!(late.overdue(), Some(Span::from_seconds(3_600.0)));
        assert!(late.lines().iter().any(|line| line.starts_with("read at 2026-03-01T13:00:00")), "{:?}", late.lines());
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text: String, introduced in "(Signature expired: |<RequestTime>|current date/time ?)\\PC{0,60}") {
            for text in [text, introduced] {
                for kind in Kind::all() {
                    let times = times(&text, "signature expired:", kind);
                    prop_assert!(times.lines().len() <= 5);
                }
            }
        }

        #[test]
        fn what_is_told_is_what_was_meant(signed in 0_i64..4_000_000_000, late in -200_000_i64..200_000) {
            let stamp = |seconds| DateTime::from_timestamp(seconds, 0).unwrap().format("%Y%m%dT%H%M%SZ").to_string();
            let text = format!(
                "Signature expired: {} is now earlier than {} ({} - 5 min.)",
                stamp(signed), stamp(signed + late - 300), stamp(signed + late)
            );
            prop_assert_eq!(offset(&expired(&text)), Some(late as f64));
        }
    }
}
