//! The time zone of this host, for what programs write in local time without saying so. Sources: RFC 8536 for the file, and
//! the specification of `TZ` in POSIX for what holds after its last entry.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use chrono::{Datelike, NaiveDate};

/// The file of the zone; a host without it is in UTC.
const FILE: &str = "etc/localtime";
/// No zone needs more.
const LONGEST: u64 = 64 * 1024;
const HEADER: usize = 44;
const DAY: i64 = 86_400;
/// The farthest from UTC that a zone may be, with some room.
const FARTHEST: i64 = 26 * 3_600;

/// A time zone: when which offset from UTC holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Zone {
    /// From when on, in seconds since the Unix epoch, and the offset in seconds, positive to the east.
    entries: Vec<(i64, i64)>,
    /// The offset before all of them.
    first: i64,
    /// What holds after them.
    rule: Option<Rule>,
}

/// What holds every year.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Rule {
    standard: i64,
    /// The offset in summer, and when that begins and ends in seconds of the local time of the offset before.
    summer: Option<(i64, Change, Change)>,
}

/// A moment of each year.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Change {
    day: Day,
    /// Seconds after midnight.
    time: i64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Day {
    /// Of month 1 to 12, the week 1 to 5, of which 5 is the last, the day of the week from Sunday on.
    Week(u32, u32, u32),
    /// Counted from 1, without 29 February.
    WithoutLeap(i64),
    /// Counted from 0.
    Plain(i64),
}

impl Zone {
    /// That of the host below `root`; `None` where its file is not understood.
    pub fn of(root: &Path) -> Option<Self> {
        let mut bytes = Vec::new();
        let Ok(file) = File::open(root.join(FILE)) else { return Some(Self::default()) };
        file.take(LONGEST).read_to_end(&mut bytes).ok()?;
        Self::read(&bytes)
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        let (counts, is_long) = header(bytes)?;
        if !is_long {
            return Self::block(bytes.get(HEADER..)?, counts, 4);
        }
        let second = bytes.get(HEADER + length(counts, 4)..)?;
        let (counts, _) = header(second)?;
        let zone = Self::block(second.get(HEADER..)?, counts, 8)?;
        let footer = second.get(HEADER + length(counts, 8)..)?;
        let text = std::str::from_utf8(footer).ok()?.trim_matches('\n');
        let rule = if text.is_empty() { None } else { Some(Rule::read(text)?) };
        Some(Self { rule, ..zone })
    }

    /// One of which a rule says all.
    #[cfg(test)]
    pub(crate) fn read_rule(text: &str) -> Self {
        Self { rule: Some(Rule::read(text).unwrap()), ..Self::default() }
    }

    fn block(block: &[u8], [_, _, _, times, types, _]: [usize; 6], width: usize) -> Option<Self> {
        let number = |at: usize| {
            let bytes = block.get(at..at + width)?;
            Some(match width {
                4 => i64::from(i32::from_be_bytes(bytes.try_into().ok()?)),
                _ => i64::from_be_bytes(bytes.try_into().ok()?),
            })
        };
        let offset = |kind: usize| {
            let at = times * (width + 1) + kind * 6;
            Some(i64::from(i32::from_be_bytes(block.get(at..at + 4)?.try_into().ok()?)))
        };
        let kind =
            |time: usize| block.get(times * width + time).map(|kind| usize::from(*kind)).filter(|kind| *kind < types);
        let entries = (0..times).map(|time| Some((number(time * width)?, offset(kind(time)?)?)));
        Some(Self { entries: entries.collect::<Option<_>>()?, first: offset(0)?, rule: None })
    }

    /// The offset from UTC at a moment, in seconds.
    fn at(&self, utc: i64) -> i64 {
        let known = self.entries.iter().rev().find(|(from, _)| *from <= utc);
        let is_after_all = self.entries.last().is_none_or(|(from, _)| *from <= utc);
        match (&self.rule, known) {
            (Some(rule), _) if is_after_all => rule.at(utc),
            (_, Some((_, offset))) => *offset,
            (_, None) => self.first,
        }
    }

    /// The moment at which a clock of this zone shows a local time, both in seconds as if since the Unix epoch. Of two the
    /// first, and of a time that is skipped the one that it would have been.
    pub fn moment(&self, local: i64) -> i64 {
        let mut offsets = [self.at(local.saturating_sub(FARTHEST)), self.at(local.saturating_add(FARTHEST))];
        offsets.sort_unstable_by_key(|offset| -offset);
        let moments = offsets.map(|offset| local.saturating_sub(offset));
        let [earlier, _] = moments;
        moments.into_iter().find(|moment| moment.saturating_add(self.at(*moment)) == local).unwrap_or(earlier)
    }
}

/// The six numbers of a header, and whether a longer block follows.
fn header(bytes: &[u8]) -> Option<([usize; 6], bool)> {
    let header = bytes.get(..HEADER)?;
    let version = *header.strip_prefix(b"TZif")?.first()?;
    let mut counts = [0; 6];
    for (count, field) in counts.iter_mut().zip(header.get(20..)?.chunks_exact(4)) {
        *count = usize::try_from(u32::from_be_bytes(field.try_into().ok()?)).ok().filter(|count| *count <= 65_536)?;
    }
    Some((counts, version >= b'2'))
}

/// How long a block is whose times have so many bytes.
const fn length([utc, standard, leap, times, types, names]: [usize; 6], width: usize) -> usize {
    times * (width + 1) + types * 6 + names + leap * (width + 4) + standard + utc
}

impl Rule {
    /// `EST5EDT,M3.2.0,M11.1.0`, or `<+09>-9`.
    fn read(text: &str) -> Option<Self> {
        let rest = skip_name(text)?;
        let (west, rest) = clock(rest)?;
        let standard = -west;
        if rest.is_empty() {
            return Some(Self { standard, summer: None });
        }
        let rest = skip_name(rest)?;
        let (west, rest) = if rest.starts_with(',') { (-(standard + 3_600), rest) } else { clock(rest)? };
        let mut changes = rest.strip_prefix(',')?.split(',').map(Change::read);
        let (begin, end) = (changes.next()??, changes.next()??);
        Some(Self { standard, summer: Some((-west, begin, end)) })
    }

    fn at(&self, utc: i64) -> i64 {
        let Some((summer, begin, end)) = &self.summer else { return self.standard };
        let days = utc.saturating_add(self.standard).div_euclid(DAY);
        let Some(year) = date(days).map(|date| date.year()) else { return self.standard };
        let (Some(begin), Some(end)) = (begin.in_year(year), end.in_year(year)) else { return self.standard };
        let (begin, end) = (begin - self.standard, end - summer);
        let is_summer = if begin < end { (begin..end).contains(&utc) } else { !(end..begin).contains(&utc) };
        if is_summer { *summer } else { self.standard }
    }
}

impl Change {
    fn read(text: &str) -> Option<Self> {
        let (day, time) = text.split_once('/').map_or((text, None), |(day, time)| (day, Some(time)));
        let time =
            time.map_or(Some(7_200), |time| clock(time).filter(|(_, rest)| rest.is_empty()).map(|(time, _)| time))?;
        let day = if let Some(week) = day.strip_prefix('M') {
            let mut numbers = week.split('.').map(str::parse::<u32>);
            let mut next = || numbers.next()?.ok();
            let (month, week, weekday) = (next()?, next()?, next()?);
            let is_date = (1..=12).contains(&month) && (1..=5).contains(&week) && weekday <= 6;
            is_date.then_some(Day::Week(month, week, weekday))?
        } else if let Some(day) = day.strip_prefix('J') {
            Day::WithoutLeap(number(day, 1)?)
        } else {
            Day::Plain(number(day, 0)?)
        };
        Some(Self { day, time })
    }

    /// In seconds since the Unix epoch by the local clock.
    fn in_year(self, year: i32) -> Option<i64> {
        let first = NaiveDate::from_ymd_opt(year, 1, 1)?;
        let day = match self.day {
            Day::Plain(day) => days(first) + day,
            Day::WithoutLeap(day) => days(first) + day - 1 + i64::from(first.leap_year() && day >= 60),
            Day::Week(month, week, weekday) => {
                let begin = NaiveDate::from_ymd_opt(year, month, 1)?;
                let to_first = (7 + weekday).checked_sub(begin.weekday().num_days_from_sunday())? % 7;
                let found = days(begin) + i64::from(to_first) + 7 * (i64::from(week) - 1);
                // The fifth may be the fourth.
                if date(found)?.month() == month { found } else { found - 7 }
            }
        };
        Some(day * DAY + self.time)
    }
}

fn days(date: NaiveDate) -> i64 {
    date.signed_duration_since(NaiveDate::default()).num_days()
}

fn date(days: i64) -> Option<NaiveDate> {
    NaiveDate::default().checked_add_signed(chrono::TimeDelta::try_days(days)?)
}

/// The number of a day of the year, which are counted from `first`.
fn number(text: &str, first: i64) -> Option<i64> {
    text.parse().ok().filter(|day| (first..=365).contains(day))
}

/// What follows the name of a zone.
fn skip_name(text: &str) -> Option<&str> {
    let rest = match text.strip_prefix('<') {
        Some(quoted) => quoted.split_once('>')?.1,
        None => text.trim_start_matches(|c: char| c.is_ascii_alphabetic()),
    };
    (rest.len() < text.len()).then_some(rest)
}

/// Hours, minutes and seconds with a sign, in seconds, and what follows them.
fn clock(text: &str) -> Option<(i64, &str)> {
    let (sign, text) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    let end = text.find(|c: char| !c.is_ascii_digit() && c != ':').unwrap_or(text.len());
    let (digits, rest) = text.split_at(end);
    let mut parts = digits.split(':').map(|part| part.parse::<i64>().ok().filter(|part| *part < 200));
    let hours = parts.next()??;
    let (minutes, seconds) = (parts.next().unwrap_or(Some(0))?, parts.next().unwrap_or(Some(0))?);
    Some((sign * (hours * 3_600 + minutes * 60 + seconds), rest))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::time::rfc3339;

    /// The moment of a local time, both as text.
    fn moment(zone: &Zone, local: &str) -> String {
        let local = chrono::NaiveDateTime::parse_from_str(local, "%Y-%m-%d %H:%M").unwrap().and_utc().timestamp();
        rfc3339(zone.moment(local) * 1_000_000_000)[..16].to_owned()
    }

    #[test]
    fn the_rule_of_a_zone_says_what_its_clocks_show() {
        for (rule, local, expected) in [
            ("UTC0", "2026-03-01 16:00", "2026-03-01T16:00"),
            ("JST-9", "2026-03-01 16:00", "2026-03-01T07:00"),
            ("<+0545>-5:45", "2026-03-01 16:00", "2026-03-01T10:15"),
            ("EST5EDT,M3.2.0,M11.1.0", "2026-03-08 01:59", "2026-03-08T06:59"),
            ("EST5EDT,M3.2.0,M11.1.0", "2026-03-08 03:00", "2026-03-08T07:00"),
            ("EST5EDT,M3.2.0,M11.1.0", "2026-11-01 02:00", "2026-11-01T07:00"),
            ("EST5EDT,M3.2.0,M11.1.0", "2026-11-01 01:30", "2026-11-01T05:30"),
            ("CET-1CEST,M3.5.0,M10.5.0/3", "2026-07-01 12:00", "2026-07-01T10:00"),
            ("CET-1CEST,M3.5.0,M10.5.0/3", "2026-12-01 12:00", "2026-12-01T11:00"),
            ("AEST-10AEDT,M10.1.0,M4.1.0/3", "2026-01-01 12:00", "2026-01-01T01:00"),
            ("AEST-10AEDT,M10.1.0,M4.1.0/3", "2026-06-01 12:00", "2026-06-01T02:00"),
            ("IST-1GMT0,M10.5.0,M3.5.0/1", "2026-01-01 12:00", "2026-01-01T12:00"),
        ] {
            assert_eq!(moment(&Zone::read_rule(rule), local), expected, "{rule} {local}");
        }
    }

    #[test]
    fn a_file_says_what_held_before_and_its_end_what_holds_later() {
        // One entry in 2020: from UTC to an hour east of it; then the rule.
        let block = |width: usize, time: &[u8]| {
            let mut bytes = b"TZif2".to_vec();
            bytes.extend([0; 15]);
            for count in [0_u32, 0, 0, 1, 2, 8] {
                bytes.extend(count.to_be_bytes());
            }
            bytes.extend(&time[8 - width..]);
            bytes.push(1);
            bytes.extend([0, 0, 0, 0, 0, 0]);
            bytes.extend(3_600_i32.to_be_bytes());
            bytes.extend([0, 4]);
            bytes.extend(b"UTC\0CET\0");
            bytes
        };
        let time = 1_577_836_800_i64.to_be_bytes();
        let file = [block(4, &time), block(8, &time), b"\nCET-1CEST,M3.5.0,M10.5.0/3\n".to_vec()].concat();
        let zone = Zone::read(&file).unwrap();
        assert_eq!((zone.at(1_500_000_000), zone.at(1_577_836_800)), (0, 3_600));
        assert_eq!(moment(&zone, "2026-07-01 12:00"), "2026-07-01T10:00");
        assert!((0..file.len() - 28).all(|length| Zone::read(&file[..length]).is_none()));
        assert_eq!(Zone::of(Path::new("/nowhere")), Some(Zone::default()));
    }

    #[test]
    fn a_day_that_no_year_has_makes_a_file_one_that_is_not_understood() {
        for (change, is_understood) in [
            ("J365", true),
            ("0", true),
            ("M12.5.6", true),
            ("J0", false),
            ("J366", false),
            ("366", false),
            ("-1", false),
            ("J9223372036854775807", false),
            ("M3.2.7", false),
            ("M3.2.4294967295", false),
            ("M3.0.0", false),
            ("M13.1.0", false),
        ] {
            let rule = Rule::read(&format!("A0B,{change},J1"));
            assert_eq!(rule.is_some(), is_understood, "{change}");
            let _ = rule.map(|rule| Zone { rule: Some(rule), ..Zone::default() }.moment(1_772_380_800));
        }
    }

    proptest! {
        #[test]
        fn no_change_of_a_rule_makes_it_panic(
            changes in "(J?[0-9]{1,19}|M[0-9]{1,2}\\.[0-9]{1,10}\\.([0-6]|42949672[0-9]{2})),(J1|M9\\.5\\.0)",
            moment: i64,
        ) {
            if let Some(rule) = Rule::read(&format!("A0B,{changes}")) {
                Zone { rule: Some(rule), ..Zone::default() }.moment(moment / 1_000_000_000);
            }
        }

        #[test]
        fn no_bytes_make_it_panic(bytes: Vec<u8>, rule in "[A-Z<>+,./0-9MJ:-]{0,40}", moment: i64) {
            let _ = Zone::read(&bytes);
            let _ = Zone::read(&[b"TZif2".to_vec(), bytes].concat());
            if let Some(rule) = Rule::read(&rule) {
                Zone { rule: Some(rule), ..Zone::default() }.moment(moment / 1_000_000_000);
            }
        }
    }
}
