//! Points of time as programs write them.

use chrono::{NaiveDate, NaiveDateTime};

use super::decode::WRAP;

/// No way of writing a time is longer.
const LONGEST: usize = 48;
const MONTHS: [&str; 12] = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
const BASIC: &str = "20260301t120000z";
const NANOS: i64 = 1_000_000_000;

/// A point of time that was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    /// Nanoseconds since the Unix epoch, read as UTC where no zone is told.
    pub(super) nanos: i64,
    /// Whether its zone is told.
    pub(super) is_zoned: bool,
}

/// The point of time with which a text begins, and how many bytes it takes; a wrapped line may cut it anywhere.
pub(super) fn read(text: &str) -> Option<(Stamp, usize)> {
    read_as(text, false).or_else(|| read_as(text, true)).or_else(|| basic_with_blanks(text))
}

/// `20260301T12 0000Z`: who copies a wrapped line may leave blanks in it.
fn basic_with_blanks(text: &str) -> Option<(Stamp, usize)> {
    let is_blank = |c: char| matches!(c, ' ' | '\n' | WRAP);
    let (mut flat, mut end) = (String::new(), 0);
    for (place, c) in text.char_indices().take(LONGEST) {
        if flat.len() == BASIC.len()
            || !(c.is_ascii_digit() || is_blank(c) || c.eq_ignore_ascii_case(&'t') || c.eq_ignore_ascii_case(&'z'))
        {
            break;
        }
        if !is_blank(c) {
            flat.push(c.to_ascii_lowercase());
            end = place + c.len_utf8();
        }
    }
    let is_basic = flat.len() == BASIC.len() && flat.as_bytes().get(8) == Some(&b't') && flat.ends_with('z');
    if !is_basic {
        return None;
    }
    let stamp = iso(&mut Rest(&flat))?;
    Some((stamp, end))
}

fn read_as(text: &str, is_break_blank: bool) -> Option<(Stamp, usize)> {
    let (mut flat, mut ends) = (String::new(), Vec::new());
    let mut was_break = false;
    for (place, c) in text.char_indices() {
        if flat.len() >= LONGEST {
            break;
        }
        let is_break = c == '\n' || c == WRAP;
        let c = c.to_ascii_lowercase();
        match c {
            _ if is_break && is_break_blank => flat.push(' '),
            _ if is_break => {}
            ' ' if was_break => {}
            c if c.is_ascii() => flat.push(c),
            _ => break,
        }
        was_break = is_break || (was_break && c == ' ');
        ends.resize(flat.len(), place + c.len_utf8());
    }
    let mut rest = Rest(&flat);
    let stamp = calendar(&mut rest).or_else(|| {
        rest = Rest(&flat);
        epoch(&mut rest)
    })?;
    let taken = flat.len() - rest.0.len();
    Some((stamp, taken.checked_sub(1).and_then(|last| ends.get(last).copied())?))
}

/// Whether a line begins with the time of a log.
pub(super) fn begins(line: &str) -> bool {
    let line = line.trim_start_matches(['[', '(', '"']);
    at_start(line).is_some() || is_without_year(line)
}

/// Whether a line begins with a time as a signature has it, which no log has at the beginning of a line.
pub(super) fn is_of_a_signature(line: &str) -> bool {
    let is_basic = line.as_bytes().get(8).is_some_and(|byte| byte.eq_ignore_ascii_case(&b't'));
    is_basic && read(line).is_some()
}

/// The time with which a line of a log begins.
pub(super) fn at_start(line: &str) -> Option<Stamp> {
    let line = line.trim_start_matches(['[', '(', '"']);
    let line = ["time=", "ts=", "t="].iter().find_map(|key| line.strip_prefix(key)).unwrap_or(line);
    let head: String = line.trim_start_matches('"').chars().take(LONGEST).take_while(|c| *c != WRAP).collect();
    // A signature's way of writing is not a log's.
    if head.as_bytes().get(8).is_some_and(|byte| byte.eq_ignore_ascii_case(&b't')) {
        return None;
    }
    read(&head).map(|(stamp, _)| stamp).filter(|_| head.contains(':'))
}

/// `E0331 06:35:18.484130` and `Mar  1 12:00:00`.
fn is_without_year(line: &str) -> bool {
    let mut rest = Rest(line);
    let letter = rest.0.strip_prefix(['I', 'W', 'E', 'F']).unwrap_or_default();
    let mut klog = Rest(letter);
    if klog.number(4).is_some() && klog.skip(' ') && clock(&mut klog).is_some() {
        return true;
    }
    let month = line.get(..3).unwrap_or_default().to_ascii_lowercase();
    if !MONTHS.contains(&month.as_str()) {
        return false;
    }
    rest.0 = line.get(3..).unwrap_or_default().trim_start_matches(' ');
    rest.upto(2).is_some() && rest.skip(' ') && clock(&mut rest).is_some()
}

/// The seconds of a duration of Go, such as `-23h19m26.5s`.
pub(super) fn duration(text: &str) -> Option<f64> {
    let (is_negative, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (mut total, mut has_any) = (0.0, false);
    loop {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let Some(number) = rest.get(..end).and_then(|digits| digits.parse::<f64>().ok()) else { break };
        rest = rest.get(end..).unwrap_or_default();
        let units = [("ms", 1e-3), ("µs", 1e-6), ("us", 1e-6), ("ns", 1e-9), ("h", 3_600.0), ("m", 60.0), ("s", 1.0)];
        let (unit, seconds) = units.into_iter().find(|(unit, _)| rest.starts_with(unit))?;
        rest = rest.get(unit.len()..).unwrap_or_default();
        (total, has_any) = (number.mul_add(seconds, total), true);
    }
    has_any.then_some(if is_negative { -total } else { total })
}

/// What is left to read.
struct Rest<'a>(&'a str);

impl Rest<'_> {
    fn skip(&mut self, c: char) -> bool {
        self.0.strip_prefix(c).map(|rest| self.0 = rest).is_some()
    }

    /// A number of exactly so many digits.
    fn number(&mut self, digits: usize) -> Option<u32> {
        let text = self.0.get(..digits).filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()))?;
        self.0 = self.0.get(digits..)?;
        text.parse().ok()
    }

    /// A number of at most so many digits.
    fn upto(&mut self, digits: usize) -> Option<u32> {
        let count = self.0.bytes().take(digits).take_while(u8::is_ascii_digit).count();
        (count > 0).then(|| self.number(count))?
    }

    fn word<'w>(&mut self, words: &[&'w str]) -> Option<usize> {
        let at = words.iter().position(|word: &&'w str| self.0.starts_with(word))?;
        self.0 = self.0.trim_start_matches(|c: char| c.is_ascii_lowercase());
        Some(at)
    }
}

fn calendar(rest: &mut Rest<'_>) -> Option<Stamp> {
    if rest.0.starts_with(|c: char| c.is_ascii_digit()) {
        let before = rest.0;
        return iso(rest).or_else(|| {
            rest.0 = before;
            day_first(rest)
        });
    }
    rest.word(&DAYS)?;
    rest.skip(',');
    rest.skip(' ');
    if rest.0.starts_with(|c: char| c.is_ascii_digit()) { day_first(rest) } else { month_first(rest) }
}

/// `2026-03-01T12:00:00.5+01:00`, `2026/03/01 12:00:00` and `20260301T120000Z`.
fn iso(rest: &mut Rest<'_>) -> Option<Stamp> {
    let year = rest.number(4)?;
    let separator = rest.0.chars().next().filter(|c| matches!(c, '-' | '/' | '.'));
    let part = |rest: &mut Rest<'_>| match separator {
        Some(c) => rest.skip(c).then(|| rest.number(2))?,
        None => rest.number(2),
    };
    let (month, day) = (part(rest)?, part(rest)?);
    if !rest.skip('t') {
        rest.skip(',');
        separator?;
        rest.skip(' ').then_some(())?;
    }
    let time = if separator.is_some() {
        clock(rest)?
    } else {
        let time = (rest.number(2)?, rest.number(2)?, rest.number(2)?);
        (time.0, time.1, time.2, fraction(rest))
    };
    finish(rest, (year, month, day), time)
}

/// `Sun, 01 Mar 2026 12:00:00 GMT`.
fn day_first(rest: &mut Rest<'_>) -> Option<Stamp> {
    let day = rest.upto(2)?;
    (rest.skip(' ') || rest.skip('-') || rest.skip('/')).then_some(())?;
    let month = rest.word(&MONTHS)?;
    (rest.skip(' ') || rest.skip('-') || rest.skip('/')).then_some(())?;
    let year = rest.number(4)?;
    (rest.skip(' ') || rest.skip(':')).then_some(())?;
    let time = clock(rest)?;
    finish(rest, (year, u32::try_from(month).ok()? + 1, day), time)
}

/// `Sun Mar 01 12:00:00 UTC 2026` and `Sun Mar 01 2026 12:00:00 GMT+0000`.
fn month_first(rest: &mut Rest<'_>) -> Option<Stamp> {
    let month = u32::try_from(rest.word(&MONTHS)?).ok()? + 1;
    rest.skip(' ').then_some(())?;
    rest.skip(' ');
    let day = rest.upto(2)?;
    rest.skip(' ').then_some(())?;
    let mut years = Rest(rest.0);
    if let Some(year) = years.number(4).filter(|_| years.skip(' ')) {
        rest.0 = years.0;
        let time = clock(rest)?;
        return finish(rest, (year, month, day), time);
    }
    let time = clock(rest)?;
    let zone = zone(rest);
    rest.skip(' ');
    let year = rest.number(4)?;
    stamp((year, month, day), time, zone)
}

/// `12:00:00.5`
fn clock(rest: &mut Rest<'_>) -> Option<(u32, u32, u32, i64)> {
    let hour = rest.number(2)?;
    let minute = rest.skip(':').then(|| rest.number(2))??;
    let second = rest.skip(':').then(|| rest.number(2))??;
    Some((hour, minute, second, fraction(rest)))
}

/// The nanoseconds of a fraction, if one follows.
fn fraction(rest: &mut Rest<'_>) -> i64 {
    let Some(digits) = rest.0.strip_prefix(['.', ',']) else { return 0 };
    let count = digits.bytes().take_while(u8::is_ascii_digit).count();
    if count == 0 {
        return 0;
    }
    rest.0 = digits.get(count..).unwrap_or_default();
    digits
        .bytes()
        .take(count)
        .chain(std::iter::repeat(b'0'))
        .take(9)
        .fold(0, |sum, byte| sum * 10 + i64::from(byte - b'0'))
}

/// How far the zone that follows is ahead of UTC, in seconds.
fn zone(rest: &mut Rest<'_>) -> Option<i64> {
    let before = rest.0;
    rest.skip(' ');
    let named = ["utc", "gmt", "z"].iter().find_map(|name| rest.0.strip_prefix(name));
    if let Some(behind) = named.filter(|behind| !behind.starts_with(|c: char| c.is_ascii_alphanumeric())) {
        rest.0 = behind;
    }
    let sign = match rest.0.chars().next() {
        Some('+') => 1,
        Some('-') => -1,
        _ if named.is_some_and(|behind| behind.len() == rest.0.len()) => return Some(0),
        _ => {
            rest.0 = before;
            return None;
        }
    };
    let mut offset = Rest(rest.0.get(1..).unwrap_or_default());
    let hours = offset.number(2);
    offset.skip(':');
    match (hours, offset.number(2)) {
        (Some(hours @ 0..=14), Some(minutes @ 0..=59)) => {
            rest.0 = offset.0;
            Some(sign * i64::from(hours * 3_600 + minutes * 60))
        }
        _ => {
            rest.0 = if named.is_some() { rest.0 } else { before };
            named.map(|_| 0)
        }
    }
}

fn finish(rest: &mut Rest<'_>, date: (u32, u32, u32), time: (u32, u32, u32, i64)) -> Option<Stamp> {
    let zone = zone(rest);
    stamp(date, time, zone)
}

fn stamp(date: (u32, u32, u32), time: (u32, u32, u32, i64), zone: Option<i64>) -> Option<Stamp> {
    let date = NaiveDate::from_ymd_opt(i32::try_from(date.0).ok()?, date.1, date.2)?;
    let moment: NaiveDateTime = date.and_hms_opt(time.0, time.1, time.2.min(59))?;
    let nanos = moment.and_utc().timestamp_nanos_opt()?.checked_add(time.3)?;
    let nanos = nanos.checked_sub(zone.unwrap_or_default() * NANOS)?;
    Some(Stamp { nanos, is_zoned: zone.is_some() })
}

/// Seconds since the Unix epoch in ten digits, or milliseconds in thirteen.
fn epoch(rest: &mut Rest<'_>) -> Option<Stamp> {
    let count = rest.0.bytes().take_while(u8::is_ascii_digit).count();
    let unit = match count {
        10 => NANOS,
        13 => NANOS / 1_000,
        _ => return None,
    };
    let value: i64 = rest.0.get(..count)?.parse().ok()?;
    rest.0 = rest.0.get(count..)?;
    let fraction = if count == 10 { fraction(rest) } else { 0 };
    Some(Stamp { nanos: value.checked_mul(unit)?.checked_add(fraction)?, is_zoned: true })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::time::rfc3339;

    fn told(text: &str) -> Option<String> {
        read(text).map(|(stamp, _)| rfc3339(stamp.nanos))
    }

    #[test]
    fn every_shape_is_read_and_what_follows_is_left() {
        for text in [
            "20260301T120000Z",
            "20260301T120000.000Z is",
            "20260301t120000z",
            "2026-03-01T12:00:00Z",
            "2026-03-01 12:00:00",
            "2026-03-01T13:00:00+01:00)",
            "2026-03-01T13:00:00.000+0100",
            "2026-03-01 12:00:00 +0000 UTC",
            "2026-03-01 12:00:00,000 - x",
            "2026/03/01 12:00:00",
            "Sun, 01 Mar 2026 12:00:00 GMT",
            "Sun, 1 Mar 2026 14:00:00 +0200",
            "Sun Mar 01 12:00:00 UTC 2026",
            "Sun Mar 01 2026 12:00:00 GMT+0000 (UTC)",
            "Sun Mar  1 12:00:00 2026",
            "1772366400",
            "1772366400.0",
            "1772366400000,",
            "2026\n0301T12\n  0000Z",
            "2026-03-01\n12:00:00Z",
            "01/Mar/2026:12:00:00 +0000",
            "20260301T120 000Z is",
        ] {
            assert_eq!(told(text).as_deref(), Some("2026-03-01T12:00:00.000Z"), "{text}");
        }
        for text in
            ["", "2026", "20260301", "2026-13-01T12:00:00Z", "12345678901", "XXXX", "yesterday", "20260301T1200"]
        {
            assert_eq!(told(text), None, "{text}");
        }
        let (_, taken) = read("20260301T12\n0000Z is now").unwrap();
        assert_eq!(taken, 17);
    }

    #[test]
    fn lines_of_logs_are_known() {
        for line in [
            "2026-03-01 12:00:00 x",
            "[2026/03/01 12:00:00] x",
            "Mar  1 12:00:00 host x",
            "E0301 12:00:00.484130       1 x",
            "time=\"2026-03-01T12:00:00Z\" level=info",
            "2026-03-01T12:00:00.5Z x",
            "1772366400.5: x",
        ] {
            assert!(begins(line.trim_start_matches("time=")), "{line}");
        }
        for line in ["20260301T120000Z is now", "March is", "Error", "1772366400", "12 apples"] {
            assert!(!begins(line), "{line}");
        }
    }

    #[test]
    fn durations_of_go_are_read() {
        assert_eq!(duration("-23h19m26.5s different"), Some(-83_966.5));
        assert_eq!(duration("5m0s"), Some(300.0));
        assert_eq!(duration("300ms"), Some(0.3));
        assert_eq!(duration("x"), None);
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text: String, odd in "[0-9TZ:+ ,./a-zA-Z\n-]{0,50}") {
            for text in [text, odd] {
                if let Some((_, taken)) = read(&text) {
                    prop_assert!(text.is_char_boundary(taken) && taken > 0);
                }
                begins(&text);
                duration(&text);
            }
        }
    }
}
