//! The shared configuration of the SDKs, `~/.aws/config` and `~/.aws/credentials`: which profile says what.
//!
//! The grammar is that of the SDKs' own reference: `[default]` and `[profile NAME]` in the one file, `[NAME]` in the
//! other, `[sso-session NAME]`, `key = value`, comments by `#` and `;`, and indented lines that go on with the value
//! above. As in Python, and in JavaScript, a key may be indented where it is not below another one that is less so; the
//! SDKs for Rust and Java refuse such a file, and the one for Go skips the line. Values are kept of keys that are known to hold no secret; of keys that hold one only that they are there; all
//! other keys are forgotten.

use std::collections::{BTreeMap, HashSet};

/// Keys whose values are kept, beside those that say when something expires.
const KEPT: [&str; 22] = [
    "aws_account_id",
    "credential_source",
    "duration_seconds",
    "ec2_metadata_service_endpoint",
    "ec2_metadata_service_endpoint_mode",
    "ec2_metadata_v1_disabled",
    "login_session",
    "metadata_service_num_attempts",
    "metadata_service_timeout",
    "mfa_serial",
    "region",
    "role_arn",
    "role_session_name",
    "source_profile",
    "sso_account_id",
    "sso_region",
    "sso_role_name",
    "sso_session",
    "sso_start_url",
    "sts_regional_endpoints",
    "web_identity_token_file",
    CREDENTIAL_PROCESS,
];
/// Keys of which it is kept that they are there.
const WITHHELD: [&str; 5] =
    ["aws_access_key_id", "aws_secret_access_key", "aws_security_token", "aws_session_token", "external_id"];
/// A command line, which may name a password: the program alone is kept.
const CREDENTIAL_PROCESS: &str = "credential_process";
const DEFAULT: &str = "default";
/// What the reference takes for white space within a line.
const BLANKS: [char; 2] = [' ', '\t'];
const COMMENTS: [char; 2] = ['#', ';'];

/// Which of the two files it is: they name their sections differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// `~/.aws/config`.
    Config,
    /// `~/.aws/credentials`.
    Credentials,
}

/// What one profile or one SSO session says, without any secret.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Profile(BTreeMap<String, Option<String>>);

/// All that a file says, or several files together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Profiles {
    profiles: BTreeMap<String, Profile>,
    sso_sessions: BTreeMap<String, Profile>,
    malformed: usize,
    indented: usize,
    repeated: usize,
}

impl Profile {
    /// Whether a key is written here, in lower case. Keys that no SDK picks credentials by are not kept.
    pub fn has(&self, key: &str) -> bool {
        self.0.contains_key(key)
    }

    /// The value of a key; `None` where it is not written, or is a secret. Of `credential_process` it is the program.
    pub fn value(&self, key: &str) -> Option<&str> {
        self.0.get(key)?.as_deref()
    }

    /// The keys that are kept, in alphabetical order, and their values where those are no secret.
    pub fn iter(&self) -> impl Iterator<Item = (&str, Option<&str>)> {
        self.0.iter().map(|(key, value)| (key.as_str(), value.as_deref()))
    }
}

impl Profiles {
    /// Reads the text of a file. What cannot be read is skipped and counted.
    pub fn parse(dialect: Dialect, text: &str) -> Self {
        let mut parser = Parser::default();
        for line in text.trim_start_matches('\u{feff}').lines() {
            let text = line.trim_start_matches(BLANKS);
            let indent = line.len() - text.len();
            // What is indented more than the key above goes on with its value, of which the first line is kept.
            let goes_on = parser.key_indent.is_some_and(|key| indent > key);
            if text.is_empty() || text.starts_with(COMMENTS) || goes_on {
                continue;
            }
            let is_right = if text.starts_with('[') { parser.begin(dialect, text) } else { parser.take(text, indent) };
            parser.read.malformed += usize::from(!is_right || indent > 0);
            parser.read.indented += usize::from(is_right && indent > 0);
        }
        parser.finish()
    }

    /// This together with a later file, whose keys win. The SDKs read the configuration first and the credentials second.
    #[must_use]
    pub fn merge(mut self, later: Self) -> Self {
        for (name, profile) in later.profiles {
            self.profiles.entry(name).or_default().0.extend(profile.0);
        }
        for (name, session) in later.sso_sessions {
            self.sso_sessions.entry(name).or_default().0.extend(session.0);
        }
        self.malformed += later.malformed;
        self.indented += later.indented;
        self.repeated += later.repeated;
        self
    }

    /// The profile of that name. One that has its section and nothing in it is there.
    pub fn get(&self, name: &str) -> Option<&Profile> {
        self.profiles.get(name)
    }

    /// All profiles by name, in alphabetical order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Profile)> {
        self.profiles.iter().map(|(name, profile)| (name.as_str(), profile))
    }

    /// The SSO session of that name.
    pub fn sso_session(&self, name: &str) -> Option<&Profile> {
        self.sso_sessions.get(name)
    }

    /// How many lines are neither of the grammar nor in a place where they mean something. Strict SDKs refuse the whole
    /// file for one.
    pub const fn malformed(&self) -> usize {
        self.malformed
    }

    /// How many of the lines Python cannot read, which takes keys and sections that are indented.
    pub const fn malformed_for_python(&self) -> usize {
        self.malformed.saturating_sub(self.indented)
    }

    /// How many sections, and keys within a section, are written again: Python refuses the whole file for one, the
    /// others take the later.
    pub const fn repeated(&self) -> usize {
        self.repeated
    }
}

/// What was read so far. Whoever wrote the file may mean to keep its reader busy: each line costs no more than its length.
#[derive(Default)]
struct Parser<'a> {
    read: Profiles,
    /// It replaces `[default]` wherever they stand.
    prefixed_default: Option<Profile>,
    headers: HashSet<&'a str>,
    section: Section<'a>,
    /// What the section has so far. It is put into its place when the section ends, and not looked up for each key.
    profile: Profile,
    /// By how much the key above is indented; `None` where there is none in this section.
    key_indent: Option<usize>,
}

impl<'a> Parser<'a> {
    /// Takes the line of a header; whether it is one.
    fn begin(&mut self, dialect: Dialect, line: &'a str) -> bool {
        self.key_indent = None;
        self.end();
        let Some(header) = header(line) else {
            return false;
        };
        self.read.repeated += usize::from(!self.headers.insert(header));
        self.section = Section::named(dialect, header);
        // It goes on with what an earlier section of the same name has.
        self.profile = match self.section {
            Section::Profile(name) => self.read.profiles.remove(name),
            Section::SsoSession(name) => self.read.sso_sessions.remove(name),
            Section::PrefixedDefault => self.prefixed_default.take(),
            Section::Other | Section::None => None,
        }
        .unwrap_or_default();
        true
    }

    /// Takes the line of a key; whether it is one.
    fn take(&mut self, line: &str, indent: usize) -> bool {
        let read = key_and_value(line).filter(|_| !matches!(self.section, Section::None));
        self.key_indent = read.is_some().then_some(indent);
        let Some((key, value)) = read else { return false };
        if let Some(value) = kept(&key, value)
            && !matches!(self.section, Section::Other)
        {
            let is_repeated = self.profile.0.insert(key, value).is_some();
            self.read.repeated += usize::from(is_repeated);
        }
        true
    }

    /// Puts what the section has into its place. A profile is there even if nothing stands in it.
    fn end(&mut self) {
        let profile = std::mem::take(&mut self.profile);
        match std::mem::take(&mut self.section) {
            Section::Profile(name) => drop(self.read.profiles.insert(name.to_owned(), profile)),
            Section::SsoSession(name) => drop(self.read.sso_sessions.insert(name.to_owned(), profile)),
            Section::PrefixedDefault => self.prefixed_default = Some(profile),
            Section::Other | Section::None => {}
        }
    }

    fn finish(mut self) -> Profiles {
        self.end();
        if let Some(profile) = self.prefixed_default {
            self.read.profiles.insert(DEFAULT.to_owned(), profile);
        }
        self.read
    }
}

/// What the lines after a header belong to.
#[derive(Clone, Copy, Default)]
enum Section<'a> {
    Profile(&'a str),
    /// `[profile default]`.
    PrefixedDefault,
    SsoSession(&'a str),
    /// One that is well-formed and means nothing here.
    Other,
    /// None yet, or one whose header cannot be read.
    #[default]
    None,
}

impl<'a> Section<'a> {
    fn named(dialect: Dialect, header: &'a str) -> Self {
        let (prefix, name) = match header.split_once(BLANKS) {
            Some((prefix, name)) => (Some(prefix), unquoted(name.trim_matches(BLANKS))),
            None => (None, header),
        };
        match (dialect, prefix) {
            (Dialect::Config, Some("profile")) if name == DEFAULT => Self::PrefixedDefault,
            (Dialect::Config, Some("profile")) | (Dialect::Credentials, None) => Self::Profile(name),
            (Dialect::Config, None) if name == DEFAULT => Self::Profile(name),
            (Dialect::Config, Some("sso-session")) => Self::SsoSession(name),
            (Dialect::Config | Dialect::Credentials, _) => Self::Other,
        }
    }
}

/// The name between the brackets; a comment may follow them.
fn header(line: &str) -> Option<&str> {
    let line = line.split(COMMENTS).next()?.trim_matches(BLANKS);
    let name = line.strip_prefix('[')?.strip_suffix(']')?.trim_matches(BLANKS);
    (!name.is_empty()).then_some(name)
}

/// A name that holds blanks is written in quotes.
fn unquoted(name: &str) -> &str {
    let within = |quote| name.strip_prefix(quote)?.strip_suffix(quote);
    within('"').or_else(|| within('\'')).unwrap_or(name)
}

/// Keys are of any case. A comment needs a blank before it.
fn key_and_value(line: &str) -> Option<(String, &str)> {
    let mut marks = line.match_indices(COMMENTS).filter_map(|(at, _)| line.get(..at));
    let line = marks.find(|before| before.ends_with(BLANKS)).unwrap_or(line);
    let (key, value) = line.split_once('=')?;
    let key = key.trim_matches(BLANKS).to_ascii_lowercase();
    (!key.is_empty()).then(|| (key, value.trim_matches(BLANKS)))
}

/// The value to be kept of a key, which is `None` within for a secret; `None` for a key that is forgotten.
fn kept(key: &str, value: &str) -> Option<Option<String>> {
    let says_when = key.contains("expir") && !["secret", "password", "key"].iter().any(|word| key.contains(word));
    if key == CREDENTIAL_PROCESS {
        return Some(value.split(BLANKS).next().map(|program| program.trim_matches(['"', '\'']).to_owned()));
    }
    if says_when || KEPT.contains(&key) {
        return Some(Some(value.to_owned()));
    }
    WITHHELD.contains(&key).then_some(None)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn config(text: &str) -> Profiles {
        Profiles::parse(Dialect::Config, text)
    }

    fn credentials(text: &str) -> Profiles {
        Profiles::parse(Dialect::Credentials, text)
    }

    fn names(profiles: &Profiles) -> Vec<&str> {
        profiles.iter().map(|(name, _)| name).collect()
    }

    #[test]
    fn the_two_files_name_their_profiles_differently() {
        let text = "[default]\n[profile a]\n[b]\n[profile \"c d\"]\n[sso-session e]\n[services f]\n[plugins]\n";
        let config = config(text);
        assert_eq!(names(&config), ["a", "c d", "default"]);
        assert!(config.sso_session("e").is_some());
        let credentials = credentials(text);
        assert_eq!(names(&credentials), ["b", "default", "plugins"]);
        assert!(credentials.sso_session("e").is_none());
        assert_eq!((config.malformed(), credentials.malformed()), (0, 0));
    }

    #[test]
    fn keys_are_of_any_case_and_blanks_and_comments_are_no_part_of_a_value() {
        let read = config(
            "# first\n; second\n[ profile a ] # third\nRegion=eu-west-1\nrole_arn  = arn:aws:iam::1:role/a;b # c\n\
             sso_start_url = https://d/#/e\t; f\nsource_profile =\n  # g\nsso_region = =x\n",
        );
        let profile = read.get("a").unwrap();
        assert_eq!(profile.value("region"), Some("eu-west-1"));
        assert_eq!(profile.value("role_arn"), Some("arn:aws:iam::1:role/a;b"));
        assert_eq!(profile.value("sso_start_url"), Some("https://d/#/e"));
        assert_eq!(profile.value("source_profile"), Some(""));
        assert_eq!(profile.value("sso_region"), Some("=x"));
        assert_eq!(profile.value("mfa_serial"), None);
        assert_eq!((read.malformed(), read.repeated()), (0, 0));
    }

    #[test]
    fn nested_keys_are_no_keys_of_the_profile() {
        let read = config("[default]\ns3 =\n  region = a\n  role_arn = b\nregion = c\n\td = e\n");
        assert_eq!(read.get("default").unwrap().iter().collect::<Vec<_>>(), [("region", Some("c"))]);
        assert_eq!(read.malformed(), 0);
    }

    /// What `configparser` of Python 3.11 makes of the same texts.
    #[test]
    fn indented_keys_and_sections_are_read_as_python_does() {
        for (text, region, role) in [
            ("[default]\n  region = a\n  role_arn = b\n", Some("a"), Some("b")),
            ("[default]\n  region = a\n    role_arn = b\n  sso_region = c\n", Some("a"), None),
            ("[default]\n  region = a\nrole_arn = b\n    x\n", Some("a"), Some("b")),
            ("[default]\n  s3 =\n    region = a\n  role_arn = b\n", None, Some("b")),
            ("  [default]\nregion = a\n  [profile x]\nrole_arn = b\n", Some("a"), Some("b")),
            ("[default]\n  region = a\n [profile x]\nrole_arn = b\n", Some("a"), None),
            ("[default]\nregion = a\n\n  # c\n  role_arn = b\n", Some("a"), None),
        ] {
            let read = config(text);
            let profile = read.get("default").unwrap();
            assert_eq!((profile.value("region"), profile.value("role_arn")), (region, role), "{text}");
            assert_eq!(read.malformed_for_python(), 0, "{text}");
        }
        assert_eq!(config("[default]\n  region = a\n  role_arn = b\n").malformed(), 2, "Rust and Java refuse it");
        for text in ["[default]\n  x\n", "  region = a\n[default]\n", "[default]\n  region = a\n  x\n"] {
            assert_eq!(config(text).malformed_for_python(), 1, "{text}");
        }
    }

    #[test]
    fn secrets_are_known_to_be_there_and_nothing_more() {
        const SECRET: &str = "wJalrXUtnFEMI";
        let read = credentials(&format!(
            "[default]\naws_access_key_id = {SECRET}1\nAWS_SECRET_ACCESS_KEY={SECRET}2\naws_session_token={SECRET}3\n\
             aws_security_token = {SECRET}4\nexternal_id = {SECRET}5\nmy_password = {SECRET}6\n{SECRET}7 = {SECRET}8\n\
             credential_process = \"/opt/tool\" --password {SECRET}9\n  {SECRET}10\nsecret_expiry = {SECRET}11\n\
             {SECRET}12\nx_security_token_expires = 2026-03-01T16:00:00Z\n{SECRET}13=\n",
        ));
        let profile = read.get("default").unwrap();
        for key in WITHHELD {
            assert!(profile.has(key) && profile.value(key).is_none(), "{key}");
        }
        assert_eq!(profile.value("credential_process"), Some("/opt/tool"));
        assert_eq!(profile.value("x_security_token_expires"), Some("2026-03-01T16:00:00Z"));
        assert_eq!(profile.iter().count(), WITHHELD.len() + 2);
        assert_eq!(read.malformed(), 1);
        assert!(!format!("{read:?}").to_lowercase().contains(&SECRET.to_lowercase()), "{read:?}");
    }

    #[test]
    fn what_cannot_be_read_is_skipped_and_counted() {
        let read = config("region = a\n  b = c\n[default\nregion = d\n[]\n[default]\n= e\nf\n g\nregion = h\n");
        assert_eq!(read.get("default").unwrap().value("region"), Some("h"));
        assert_eq!(read.malformed(), 8);
        assert_eq!(config("\u{feff}[default]\r\nregion = a\r\n").malformed(), 0);
    }

    /// CPU time, of this thread alone: others that run meanwhile do not count.
    #[expect(clippy::disallowed_methods, reason = "the time that a thread has worked is no time of day")]
    fn cpu_of<T>(work: impl Fn() -> T) -> f64 {
        let now = || {
            let spent = nix::time::clock_gettime(nix::time::ClockId::CLOCK_THREAD_CPUTIME_ID).unwrap();
            spent.tv_sec() as f64 + spent.tv_nsec() as f64 * 1e-9
        };
        let once = |_| {
            let before = now();
            drop(work());
            now() - before
        };
        (0..3).map(once).fold(f64::INFINITY, f64::min)
    }

    #[test]
    fn a_file_of_eight_times_the_length_takes_eight_times_as_long_however_it_is_written() {
        // As long as a file that is read may be, of shapes that mean to keep the reader busy.
        const LENGTH: usize = 1 << 20;
        let repeated = |unit: &str, length: usize| unit.repeat(length / unit.len());
        let distinct = |length: usize| (0..length / 11).map(|n| format!("[{n:08}]\n")).collect::<String>();
        let shapes: [(&str, &dyn Fn(usize) -> String); 8] = [
            ("sections that differ", &distinct),
            ("sections that are the same", &|length| repeated("[aaa]\n", length)),
            ("keys below a long name", &|length| {
                format!("[{}]\n{}", "n".repeat(length / 2), repeated("region=a\n", length / 2))
            }),
            ("long names", &|length| (0..100).map(|n| format!("[{}{n}]\n", "n".repeat(length / 100))).collect()),
            ("signs of comments", &|length| format!("[a]\nregion={}", repeated("#;", length))),
            ("comments", &|length| format!("[a]\n{}", repeated("a=b #\n", length))),
            ("brackets", &|length| repeated("[", length)),
            ("indented lines", &|length| format!("[a]\nb=\n{}", repeated(" \n  c\n", length))),
        ];
        for (shape, write) in shapes {
            let (short, long) = (write(LENGTH / 8), write(LENGTH));
            let (few, many) = (cpu_of(|| config(&short)), cpu_of(|| config(&long)));
            println!("{shape}: {:.1} ms for 128 KiB, {:.1} ms for 1 MiB", few * 1e3, many * 1e3);
            // Whatever grows with the square of the length takes 64 times as long.
            assert!(many < few.max(1e-3) * 28.0, "{shape}: {few} s for 128 KiB, {many} s for 1 MiB");
        }
    }

    #[test]
    fn what_is_written_twice_is_counted_and_the_later_wins() {
        let read = config("[profile a]\nregion = b\n[profile a]\nregion = c\nsso_region = d\n");
        assert_eq!(read.get("a").unwrap().value("region"), Some("c"));
        assert_eq!(read.get("a").unwrap().value("sso_region"), Some("d"));
        assert_eq!(read.repeated(), 2);
    }

    #[test]
    fn a_default_with_its_prefix_replaces_the_one_without() {
        for text in [
            "[default]\nregion=a\nsso_region=b\n[profile default]\nregion=c",
            "[profile default]\nregion=c\n[default]\nregion=a",
        ] {
            let read = config(text);
            assert_eq!(read.get("default").unwrap().iter().collect::<Vec<_>>(), [("region", Some("c"))]);
        }
    }

    #[test]
    fn the_keys_of_the_later_file_win() {
        let merged = config("[profile a]\nregion=b\nrole_arn=c\n[sso-session d]\nsso_region=e\nx")
            .merge(credentials("[a]\nregion=f\naws_access_key_id=g\n[h]\ny"));
        assert_eq!(names(&merged), ["a", "h"]);
        let profile = merged.get("a").unwrap();
        assert_eq!((profile.value("region"), profile.value("role_arn")), (Some("f"), Some("c")));
        assert!(profile.has("aws_access_key_id"));
        assert_eq!(merged.sso_session("d").unwrap().value("sso_region"), Some("e"));
        assert_eq!(merged.malformed(), 2);
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text: String, lines in "(\\[[a-z \"]*\\]?|[a-z]* ?=?[ #;a-zä]*|[ \t]*[#;=]*|\n){0,40}") {
            for dialect in [Dialect::Config, Dialect::Credentials] {
                for text in [&text, &lines] {
                    let once = Profiles::parse(dialect, text);
                    prop_assert!(once.malformed() <= text.lines().count());
                    prop_assert!(once.indented <= once.malformed());
                    prop_assert_eq!(once.iter().count(), once.clone().merge(once.clone()).iter().count());
                }
            }
        }

        #[test]
        fn no_value_of_a_secret_is_kept(key in proptest::sample::select(WITHHELD.to_vec()), value in "[A-Za-z0-9+/]{12,40}") {
            let text = format!("[default]\n{key} = {value}\n");
            let shown = format!("{:?}", credentials(&text));
            prop_assert!(!shown.contains(&value));
        }
    }
}
