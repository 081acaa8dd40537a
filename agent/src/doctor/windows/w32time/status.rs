//! What `w32tm /query /status /verbose` says. Its words and its dates are in the language of the user, so that nothing but
//! the order of the lines and their numbers is read.

/// More lines than this are not looked at.
const MOST_LINES: usize = 64;
/// The reference of a clock that follows itself: `LOCL`.
const LOCAL: u32 = u32::from_be_bytes(*b"LOCL");
/// The reference of the clock of Hyper-V: `VMTP`.
const HYPERVISOR: u32 = u32::from_be_bytes(*b"VMTP");
/// The name of the provider of Hyper-V, which is the same in every language.
const HYPERVISOR_NAME: &str = "VM IC Time Synchronization Provider";
/// The leap indicator of a clock that is not synchronized (RFC 5905 §7.3).
const UNSYNCHRONIZED: u32 = 3;

/// What the service says of itself.
#[derive(Clone, Debug, PartialEq)]
pub struct Status {
    /// The leap indicator.
    pub leap: Option<u32>,
    /// How far from a reference it takes itself to be; 0 where it follows nobody.
    pub stratum: Option<u32>,
    /// Whom it follows: an address of IPv4, or four letters.
    pub reference: u32,
    /// When it was last in step, in words of its language.
    pub last: String,
    /// Whom it follows, in its words.
    pub source: String,
    /// How often it asks, in seconds.
    pub poll: Option<u32>,
    /// How far it takes its clock to be off, in seconds.
    pub phase: Option<f64>,
    /// How its last attempt ended: 0 well, 1 without data, 2 with data that were too old, 3 with a change that was too big
    /// (MS-W32T 3.2.5.1).
    pub last_error: Option<u32>,
    /// How long ago it was last in step, in seconds.
    pub age: Option<f64>,
}

/// Why there is no status.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unread {
    /// The service does not run (0x80070426).
    NotStarted,
    /// Who asks may not (0x80070005).
    Denied,
    /// Another error.
    Error(u32),
    /// The output is of no form that is known.
    Unknown,
}

impl Status {
    /// Reads the output.
    ///
    /// # Errors
    /// It is an error, or nothing that is known.
    pub fn read(text: &str) -> Result<Self, Unread> {
        let lines: Vec<&str> = text.lines().filter_map(value).take(MOST_LINES).collect();
        // The reference is the only line whose value is one number of eight hexadecimal digits.
        let found = lines.iter().enumerate().find_map(|(at, line)| Some((at, reference(line)?)));
        let Some((at, reference)) = found else { return Err(error(text)) };
        let before = |count: usize| at.checked_sub(count).and_then(|at| lines.get(at)).copied();
        let after = |count: usize| lines.get(at + count).copied();
        let poll = after(3).and_then(poll);
        // Without a poll where it belongs, the lines behind the reference are others.
        let behind = |count: usize| after(count).filter(|_| poll.is_some());
        Ok(Self {
            leap: before(5).and_then(whole).filter(|leap| *leap <= UNSYNCHRONIZED),
            stratum: before(4).and_then(whole).filter(|stratum| *stratum <= 16),
            reference,
            last: behind(1).unwrap_or_default().to_owned(),
            source: behind(2).unwrap_or_default().to_owned(),
            poll,
            phase: behind(4).and_then(seconds),
            last_error: behind(9).and_then(whole),
            age: behind(10).and_then(seconds).filter(|age| *age >= 0.0),
        })
    }

    /// Whether it follows nobody, so that its clock runs by itself.
    pub fn is_adrift(&self) -> bool {
        !self.is_of_hypervisor()
            && (self.leap == Some(UNSYNCHRONIZED) || self.stratum == Some(0) || self.reference == LOCAL)
    }

    /// Whether the hypervisor sets this clock.
    pub fn is_of_hypervisor(&self) -> bool {
        self.reference == HYPERVISOR || self.source.contains(HYPERVISOR_NAME)
    }
}

/// What stands behind the label of a line. No label has a colon in it.
fn value(line: &str) -> Option<&str> {
    let (_, value) = line.split_once([':', '：'])?;
    Some(value.trim())
}

fn reference(value: &str) -> Option<u32> {
    let digits = value.strip_prefix("0x")?;
    let (digits, rest) = digits.split_at_checked(8)?;
    let ends = !rest.starts_with(|c: char| c.is_ascii_hexdigit());
    if ends { u32::from_str_radix(digits, 16).ok() } else { None }
}

/// The number with which a value begins, such as `0(no warning)` or `4 (…)`.
fn whole(value: &str) -> Option<u32> {
    let end = value.find(|c: char| !c.is_ascii_digit()).unwrap_or(value.len());
    value.get(..end)?.parse().ok()
}

/// An interval such as `10 (1024s)`, whose two numbers have to say the same.
fn poll(value: &str) -> Option<u32> {
    let power = whole(value)?;
    let (_, seconds) = value.split_once(['(', '（'])?;
    let seconds = whole(seconds.trim())?;
    (1_u32.checked_shl(power) == Some(seconds)).then_some(seconds)
}

/// A length of time such as `-0.0000013s`.
fn seconds(value: &str) -> Option<f64> {
    let value = value.trim().strip_suffix('s')?.trim().replace(',', ".");
    value.parse().ok().filter(|seconds: &f64| seconds.is_finite())
}

/// The error that an output ends with, such as `… (0x80070426)`.
fn error(text: &str) -> Unread {
    let code = text.match_indices("0x").find_map(|(at, _)| reference(text.get(at..)?)).filter(|code| code >> 31 == 1);
    match code {
        Some(0x8007_0426) => Unread::NotStarted,
        Some(0x8007_0005) => Unread::Denied,
        Some(code) => Unread::Error(code),
        None => Unread::Unknown,
    }
}

#[cfg(test)]
pub(in crate::doctor::windows) mod tests {
    use proptest::prelude::*;

    use super::*;

    /// As Windows in English writes it on an instance.
    pub(in crate::doctor::windows) const ENGLISH: &str = "\
Leap Indicator: 0(no warning)\r
Stratum: 4 (secondary reference - syncd by (S)NTP)\r
Precision: -23 (119.209ns per tick)\r
Root Delay: 0.0314484s\r
Root Dispersion: 0.4345451s\r
ReferenceId: 0xA9FEA97B (source IP:  169.254.169.123)\r
Last Successful Sync Time: 26/03/2020 19:37:22\r
Source: 169.254.169.123,0x9\r
Poll Interval: 10 (1024s)\r
\r
Phase Offset: 0.0013088s\r
ClockRate: 0.0156248s\r
State Machine: 2 (Sync)\r
Time Source Flags: 0 (None)\r
Server Role: 0 (None)\r
Last Sync Error: 0 (The command completed successfully.)\r
Time since Last Good Sync Time: 279.8688108s\r
";
    const GERMAN: &str = "\
Sprungindikator: 0(keine Warnung)
Stratum: 4 (Sekundärreferenz - synchr. über (S)NTP)
Präzision: -23 (119.209ns pro Tick)
Stammverzögerung: 0.0168694s
Stammabweichung: 7.7960610s
Referenz-ID: 0x0D5F41FB (Quell-IP:  13.95.65.251)
Letzte erfolgr. Synchronisierungszeit: 20.09.2024 10:43:13
Quelle: time.windows.com,0x9
Abrufintervall: 10 (1024s)
";
    const JAPANESE: &str = "\
閏インジケーター: 0 (警告なし)
階層: 3 (二次参照 - (S)NTP で同期)
精度: -23 (ティックごとに 119.209ns)
ルート遅延: 0.0216253s
ルート分散: 7.7938950s
参照 ID: 0x0A000003 (ソース IP:  10.30.0.3)
最終正常同期時刻: 2022/01/10 1:45:54
ソース: 10.30.0.3,8
ポーリング間隔: 10 (1024s)
";
    /// Without a blank before the parenthesis, and once without one behind the colon.
    const CHINESE: &str = "\
Leap 指示符: 0(无警告)
层次: 3 (次引用 - 与(S)NTP 同步)
精度: -23 (每刻度 119.209ns)
根延迟: 0.2056026s
根分散: 4.0711694s
引用 ID: 0xB65C0C0B (源 IP: 182.92.12.11)
上次成功同步时间: 2025/4/29 8:52:14
源: cn.ntp.org.cn,8
轮询间隔: 6 (64s)
相位偏移: -0.2507314s
ClockRate: 0.0156261s
计算机状态: 1 (等候)
时间源标志:0 (无)
服务器角色: 64 (时间服务)
上次同步错误: 0 (成功地执行了命令。)
上次成功同步时间后的时间: 19.3403555s
";
    const KOREAN: &str = "\
윤초 조정: 0(경고 없음)
계층: 3(보조 참조 - (S)NTP로 동기화됨)
정밀도: -23(틱당 119.209ns)
루트 지연: 0.0312500s
루트 분산: 0.0700000s
참조 ID: 0xCB007101(원본 IP: 203.0.113.1)
마지막으로 동기화한 시간: 2026-10-03 오후 10:00:00
원본: time.windows.com,0x9
폴링 간격: 10(1024s)
";
    /// As a service in English that has not found anybody yet.
    pub(in crate::doctor::windows) const ADRIFT: &str = "\
Leap Indicator: 3(not synchronized)
Stratum: 0 (unspecified)
Precision: -23 (119.209ns per tick)
Root Delay: 0.0000000s
Root Dispersion: 0.0000000s
ReferenceId: 0x00000000 (unspecified)
Last Successful Sync Time: unspecified
Source: Local CMOS Clock
Poll Interval: 10 (1024s)

Phase Offset: 0.0000000s
ClockRate: 0.0156250s
State Machine: 0 (Unset)
Time Source Flags: 0 (None)
Server Role: 0 (None)
Last Sync Error: 1 (The computer did not resync because no time data was available.)
Time since Last Good Sync Time: 4242.0402148s
";
    pub(in crate::doctor::windows) const HYPER_V: &str = "\
Leap Indicator: 0(no warning)
Stratum: 1 (primary reference - syncd by radio clock)
Precision: -23 (119.209ns per tick)
Root Delay: 0.0003538s
Root Dispersion: 0.0100002s
ReferenceId: 0x00000000 (unspecified)
Last Successful Sync Time: 5/23/2023 7:51:39 PM
Source: VM IC Time Synchronization Provider
Poll Interval: 6 (64s)

Phase Offset: -0.0000013s
ClockRate: 0.0156250s
State Machine: 2 (Sync)
Time Source Flags: 3 (Authenticated Hardware )
Server Role: 0 (None)
Last Sync Error: 0 (The command completed successfully.)
Time since Last Good Sync Time: 15.7344985s
";
    pub(in crate::doctor::windows) const NOT_STARTED: &str =
        "The following error occurred: The service has not been started. (0x80070426)\r\n";

    #[test]
    fn the_same_is_read_in_every_language() {
        for (language, text, reference, source, poll, verbose) in [
            (
                "English",
                ENGLISH,
                [169, 254, 169, 123],
                "169.254.169.123,0x9",
                1_024,
                Some((0.001_308_8, 0, 279.868_810_8)),
            ),
            ("German", GERMAN, [13, 95, 65, 251], "time.windows.com,0x9", 1_024, None),
            ("Japanese", JAPANESE, [10, 0, 0, 3], "10.30.0.3,8", 1_024, None),
            ("Chinese", CHINESE, [182, 92, 12, 11], "cn.ntp.org.cn,8", 64, Some((-0.250_731_4, 0, 19.340_355_5))),
            ("Korean", KOREAN, [203, 0, 113, 1], "time.windows.com,0x9", 1_024, None),
        ] {
            let status = Status::read(text).unwrap();
            assert_eq!(status.reference, u32::from_be_bytes(reference), "{language}");
            assert_eq!((status.source.as_str(), status.poll), (source, Some(poll)), "{language}");
            assert!(status.leap == Some(0) && matches!(status.stratum, Some(3 | 4)), "{language}: {status:?}");
            assert!(!status.is_adrift() && !status.is_of_hypervisor(), "{language}");
            let found = status.phase.zip(status.last_error).zip(status.age);
            assert_eq!(found.map(|((phase, error), age)| (phase, error, age)), verbose, "{language}");
        }
    }

    #[test]
    fn a_service_that_follows_nobody_is_adrift_and_one_that_follows_the_hypervisor_is_not() {
        let adrift = Status::read(ADRIFT).unwrap();
        assert!(adrift.is_adrift());
        assert_eq!(adrift.last_error, Some(1));
        let local = ENGLISH.replace("0xA9FEA97B (source IP:  169.254.169.123)", "0x4C4F434C (source name:  \"LOCL\")");
        assert!(Status::read(&local).unwrap().is_adrift(), "a server of time that follows itself");
        let of_hypervisor = Status::read(HYPER_V).unwrap();
        assert!(of_hypervisor.is_of_hypervisor() && !of_hypervisor.is_adrift());
    }

    #[test]
    fn an_error_is_known_by_its_number_in_every_language() {
        assert_eq!(Status::read(NOT_STARTED), Err(Unread::NotStarted));
        assert_eq!(Status::read("发生下列错误: 服务尚未启动。 (0x80070426)"), Err(Unread::NotStarted));
        assert_eq!(Status::read("Zugriff verweigert (0x80070005)"), Err(Unread::Denied));
        assert_eq!(Status::read("… (0x800706B5)"), Err(Unread::Error(0x8007_06b5)));
        for text in ["", "Usage: w32tm", "0x", "a: 0x1234567", "a: 0x123456789 (b)", "(0x00000001)"] {
            assert_eq!(Status::read(text), Err(Unread::Unknown), "{text}");
        }
    }

    #[test]
    fn a_line_of_another_form_is_not_taken_for_what_should_stand_there() {
        let short = Status::read("ReferenceId: 0x00000000 (unspecified)\n").unwrap();
        assert_eq!((short.leap, short.stratum, short.poll), (None, None, None));
        let odd = Status::read(&ENGLISH.replace("10 (1024s)", "10 (7s)")).unwrap();
        assert_eq!((odd.poll, odd.source.as_str(), odd.phase, odd.age), (None, "", None, None));
    }

    proptest! {
        #[test]
        fn no_output_makes_the_reader_panic(text in any::<String>()) {
            let _ = Status::read(&text);
        }

        #[test]
        fn no_damage_makes_the_reader_panic(at in 0..400_usize, cut in 0..60_usize, put in "\\PC{0,6}|[0-9x:(s)\n]{0,9}") {
            let mut chars: Vec<char> = KOREAN.chars().chain(ENGLISH.chars()).collect();
            let at = at.min(chars.len());
            let end = (at + cut).min(chars.len());
            chars.splice(at..end, put.chars());
            let _ = Status::read(&chars.into_iter().collect::<String>());
        }
    }
}
