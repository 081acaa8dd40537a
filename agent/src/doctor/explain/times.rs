//! The times in an error message, and the skew that they tell.

use std::ops::RangeInclusive;

use chrono::{DateTime, NaiveDateTime};

use super::complaint::Complaint;
use crate::credentials::timestamp;
use crate::time::{NANOS_PER_SECOND, Offset, Span, SystemTime, TrueTime, rfc3339};

/// A longer value than this is no time.
const LONGEST_VALUE: usize = 40;
/// How far behind its introduction the times of a message stand at most.
const REACH: usize = 200;
/// No service allows less than a minute, or more than a day.
const WINDOWS: RangeInclusive<Span> =
    Span::from_nanos(60 * NANOS_PER_SECOND)..=Span::from_nanos(86_400 * NANOS_PER_SECOND);

/// The times that an error message names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Times {
    /// When the request was signed, by the clock of whoever signed it.
    pub signed: Option<SystemTime>,
    /// When AWS judged it, by its own clock.
    pub judged: Option<TrueTime>,
    /// Until when it was good, by AWS's clock.
    pub good_until: Option<TrueTime>,
    /// How far the two clocks may differ.
    pub window: Option<Span>,
}

impl Times {
    /// Finds those that a message with this complaint has.
    pub fn of(text: &str, complaint: Complaint) -> Self {
        match complaint {
            Complaint::SignatureExpired => signature(text, "signature expired:"),
            Complaint::SignatureNotYetCurrent => signature(text, "signature not yet current:"),
            Complaint::WebIdentityExpired => Self {
                judged: after(text, "current date/time").map(TrueTime::from_nanos),
                good_until: after(text, "expiration date/time").map(TrueTime::from_nanos),
                ..Self::default()
            },
            Complaint::RequestTimeTooSkewed => Self {
                signed: named_time(text, "RequestTime").map(SystemTime::from_nanos),
                judged: named_time(text, "ServerTime").map(TrueTime::from_nanos),
                window: named_number(text, "MaxAllowedSkewMilliseconds")
                    .map(|milliseconds| Span::from_seconds(milliseconds / 1e3))
                    .filter(|window| WINDOWS.contains(window)),
                ..Self::default()
            },
            Complaint::PresignedExpired | Complaint::PresignedNotYetValid => presigned(text),
            _ => Self::default(),
        }
    }

    /// How far the clock that signed was off: positive where it was slow.
    pub fn offset(&self) -> Option<Offset> {
        let signed = TrueTime::from_nanos(self.signed?.nanos());
        Some(Offset::new(self.judged?.since(signed)))
    }

    /// For how long it was not good any more when AWS judged it.
    pub fn overdue(&self) -> Option<Span> {
        self.good_until.zip(self.judged).map(|(until, judged)| judged.since(until))
    }

    /// Each of them for people, written anew.
    pub fn lines(&self) -> Vec<String> {
        [
            self.signed.map(|time| format!("signed at {} by the signer's clock", rfc3339(time.nanos()))),
            self.good_until.map(|time| format!("good until {} by AWS's clock", rfc3339(time.nanos()))),
            self.judged.map(|time| format!("judged at {} by AWS's clock", rfc3339(time.nanos()))),
            self.window.map(|window| format!("{} s of difference were allowed", window.seconds())),
        ]
        .into_iter()
        .flatten()
        .collect()
    }
}

/// `A is now earlier than B (C - 5 min.)`: A was signed, C is AWS's time.
fn signature(text: &str, introduction: &str) -> Times {
    let mut words = behind(text, introduction)
        .split(|c: char| !c.is_ascii_alphanumeric())
        .filter(|word| !word.is_empty())
        .skip_while(|word| compact(word).is_none());
    let signed = words.next().and_then(compact).map(SystemTime::from_nanos);
    let mut rest = words.skip_while(|word| compact(word).is_none()).skip(1).skip_while(|word| compact(word).is_none());
    let judged = rest.next().and_then(compact).map(TrueTime::from_nanos);
    let minutes = rest.next().and_then(|word| word.parse::<u16>().ok());
    let is_minutes = rest.next().is_some_and(|word| word.starts_with("min"));
    let window = minutes.filter(|_| is_minutes).map(|minutes| Span::from_seconds(f64::from(minutes) * 60.0));
    let window = window.filter(|window| WINDOWS.contains(window));
    Times { signed, judged, window, good_until: None }
}

/// What its clock allowed a URL begins when it was signed. S3 tells `X-Amz-Date` in milliseconds where it is of the
/// future, and not at all where it is over: then it is the end minus the length.
fn presigned(text: &str) -> Times {
    let good_until = named_time(text, "Expires").map(TrueTime::from_nanos);
    let length = named_number(text, "X-Amz-Expires").map(Span::from_seconds);
    let begin = good_until.zip(length).map(|(until, length)| until.minus(length).nanos());
    Times {
        signed: named_time(text, "X-Amz-Date").or(begin).map(SystemTime::from_nanos),
        judged: named_time(text, "ServerTime").map(TrueTime::from_nanos),
        good_until,
        window: None,
    }
}

/// The time that follows the first `introduction`, whatever its case.
fn after(text: &str, introduction: &str) -> Option<i64> {
    let rest = behind(text, introduction).trim_start_matches([' ', ':', '=']);
    moment(value(rest))
}

fn named_time(text: &str, name: &str) -> Option<i64> {
    named(text, name).find_map(moment)
}

fn named_number(text: &str, name: &str) -> Option<f64> {
    let digits =
        |value: &str| value.split(|c: char| !c.is_ascii_digit()).next().and_then(|word| word.parse::<u32>().ok());
    named(text, name).find_map(digits).map(f64::from)
}

/// What is called `name`, as XML, JSON, the output of a programming language or a query has it.
fn named<'a>(text: &'a str, name: &'a str) -> impl Iterator<Item = &'a str> {
    text.match_indices(name).filter_map(move |(place, _)| {
        let is_part_of_another = |c: char| c.is_ascii_alphanumeric() || c == '-';
        let before = text.get(..place)?.chars().next_back();
        let rest = text.get(place + name.len()..)?;
        if before.is_some_and(is_part_of_another) || rest.starts_with(is_part_of_another) {
            return None;
        }
        let rest = rest.strip_prefix("&gt;").unwrap_or(rest);
        Some(value(rest.trim_start_matches(['>', '"', '\'', '\\', ':', '=', ' '])))
    })
}

/// The longest beginning of a text that could be a time.
fn value(text: &str) -> &str {
    let is_of_time = |c: char| c.is_ascii_alphanumeric() || " ,:+-.".contains(c);
    let end = text.char_indices().take(LONGEST_VALUE).find(|(_, c)| !is_of_time(*c)).map(|(place, _)| place);
    let end = end.or_else(|| text.char_indices().nth(LONGEST_VALUE).map(|(place, _)| place));
    end.and_then(|end| text.get(..end)).unwrap_or(text)
}

/// The text behind the first `introduction`, whatever its case, as far as its times reach.
fn behind<'a>(text: &'a str, introduction: &str) -> &'a str {
    // Lower case of ASCII alone leaves every place where it is.
    let place = text.to_ascii_lowercase().find(introduction);
    let rest = place.and_then(|place| text.get(place + introduction.len()..)).unwrap_or_default();
    rest.char_indices().nth(REACH).and_then(|(end, _)| rest.get(..end)).unwrap_or(rest)
}

/// Nanoseconds since the Unix epoch, from every way in which AWS writes a time; what follows it is ignored.
fn moment(text: &str) -> Option<i64> {
    let word = text.split([' ', ',']).next().unwrap_or_default();
    let rfc2822 = || DateTime::parse_from_rfc2822(text.trim()).ok()?.timestamp_nanos_opt();
    compact(word).or_else(|| timestamp::parse(word)).or_else(rfc2822).or_else(|| epoch(word))
}

/// `20260301T120000Z`, as a signature has it.
fn compact(word: &str) -> Option<i64> {
    NaiveDateTime::parse_from_str(word, "%Y%m%dT%H%M%SZ").ok()?.and_utc().timestamp_nanos_opt()
}

/// Seconds since the Unix epoch in ten digits, or milliseconds in thirteen.
fn epoch(word: &str) -> Option<i64> {
    let digits = word.split(|c: char| !c.is_ascii_digit()).next()?;
    let nanos = match digits.len() {
        10 => 1_000_000_000,
        13 => 1_000_000,
        _ => return None,
    };
    digits.parse::<i64>().ok()?.checked_mul(nanos)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn offset(text: &str, complaint: Complaint) -> Option<f64> {
        Times::of(text, complaint).offset().map(Offset::seconds)
    }

    #[test]
    fn the_skew_of_a_signature_is_aws_time_minus_its_own() {
        let slow = r#"{"message":"Signature expired: 20260301T120000Z is now earlier than 20260301T120959Z (20260301T121459Z - 5 min.)"}"#;
        let times = Times::of(slow, Complaint::SignatureExpired);
        assert_eq!(times.offset().map(Offset::seconds), Some(899.0), "slow");
        assert_eq!(times.window, Some(Span::from_seconds(300.0)));
        let fast = "Signature not yet current: 20260301T121000Z is still later than 20260301T120500Z (20260301T120000Z + 5 min.)";
        assert_eq!(offset(fast, Complaint::SignatureNotYetCurrent), Some(-600.0), "fast");
        let sts =
            "SIGNATURE EXPIRED: 20260301T120000Z is now earlier than 20260301T121500Z (20260301T123000Z - 15 min.)";
        assert_eq!(Times::of(sts, Complaint::SignatureExpired).window, Some(Span::from_seconds(900.0)));
    }

    #[test]
    fn a_window_that_no_service_has_is_not_believed() {
        let text = |window| format!("<RequestTime>x</RequestTime><MaxAllowedSkewMilliseconds>{window}<");
        for (window, told) in [("0", None), ("59999", None), ("60000", Some(60.0)), ("99999999999", None), ("-5", None)]
        {
            let window = Times::of(&text(window), Complaint::RequestTimeTooSkewed).window;
            assert_eq!(window.map(Span::seconds), told);
        }
    }

    #[test]
    fn a_message_that_was_cut_tells_no_skew() {
        for text in [
            "Signature expired: 20260301T120000Z is now earlier than 20260301T120959Z (202603",
            "Signature expired: 20260301T120000Z",
            "Signature expired: yesterday",
            "Signature expired:",
        ] {
            assert_eq!(offset(text, Complaint::SignatureExpired), None, "{text}");
        }
    }

    #[test]
    fn the_skew_that_s3_tells_is_read_from_xml_and_from_what_languages_print() {
        for text in [
            "<RequestTime>20260301T120000Z</RequestTime><ServerTime>2026-03-01T12:20:00Z</ServerTime>\
             <MaxAllowedSkewMilliseconds>900000</MaxAllowedSkewMilliseconds>",
            "&lt;RequestTime&gt;20260301T120000Z&lt;/RequestTime&gt;&lt;ServerTime&gt;2026-03-01T12:20:00Z&lt;/ServerTime&gt;\
             &lt;MaxAllowedSkewMilliseconds&gt;900000&lt;",
            "<RequestTime>Sun, 01 Mar 2026 12:00:00 GMT</RequestTime><ServerTime>2026-03-01T12:20:00Z</ServerTime>\
             <MaxAllowedSkewMilliseconds>900000</MaxAllowedSkewMilliseconds>",
            "{'RequestTime': '20260301T120000Z', 'ServerTime': '2026-03-01T12:20:00Z', 'MaxAllowedSkewMilliseconds': '900000'}",
            r#"{\"RequestTime\": \"20260301T120000Z\", \"ServerTime\": \"2026-03-01T12:20:00Z\", \"MaxAllowedSkewMilliseconds\": 900000}"#,
            "RequestTime: 20260301T120000Z, ServerTime: 2026-03-01T12:20:00Z, MaxAllowedSkewMilliseconds: 900000, x",
        ] {
            let times = Times::of(text, Complaint::RequestTimeTooSkewed);
            assert_eq!(times.offset().map(Offset::seconds), Some(1_200.0), "{text}");
            assert_eq!(times.window, Some(Span::from_seconds(900.0)), "{text}");
        }
    }

    #[test]
    fn a_url_that_has_run_out_tells_how_late_it_came_and_one_of_the_future_tells_the_skew() {
        let late = "<X-Amz-Expires>300</X-Amz-Expires><Expires>2026-03-01T12:05:00Z</Expires>\
                    <ServerTime>2026-03-01T12:05:10Z</ServerTime>";
        let times = Times::of(late, Complaint::PresignedExpired);
        assert_eq!(times.overdue(), Some(Span::from_seconds(10.0)));
        assert_eq!(times.signed.map(|time| rfc3339(time.nanos())).as_deref(), Some("2026-03-01T12:00:00.000Z"));
        let early = "<X-Amz-Date>1473415775000</X-Amz-Date><Expires>2016-09-12T10:09:35Z</Expires>\
                     <ServerTime>2016-09-08T10:09:44Z</ServerTime>";
        assert_eq!(offset(early, Complaint::PresignedNotYetValid), Some(-86_391.0));
    }

    #[test]
    fn a_web_identity_token_tells_how_late_it_came() {
        let text = "Token expired: current date/time 1624482533 must be before the expiration date/time1624482335";
        assert_eq!(Times::of(text, Complaint::WebIdentityExpired).overdue(), Some(Span::from_seconds(198.0)));
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text: String, introduced in "(Signature expired: |<RequestTime>|current date/time ?)\\PC{0,60}") {
            for text in [text, introduced] {
                for complaint in [Complaint::SignatureExpired, Complaint::RequestTimeTooSkewed, Complaint::PresignedExpired, Complaint::WebIdentityExpired] {
                    let times = Times::of(&text, complaint);
                    prop_assert!(times.lines().len() <= 4);
                    prop_assert!(times.offset().is_none() || times.signed.is_some());
                    prop_assert!(times.overdue().is_none() || times.good_until.is_some());
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
            let told = Times::of(&text, Complaint::SignatureExpired).offset().map(|offset| offset.span().nanos());
            prop_assert_eq!(told, Some(late * 1_000_000_000));
        }
    }
}
