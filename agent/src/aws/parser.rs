//! Reads one of the shared files by the grammar of one SDK. Of secrets it is kept that they are there, and whether they are
//! empty; what no SDK picks credentials by is forgotten.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashSet};

use super::grammar::{Again, Encoding, Grammar, Header, Indented, Naming, REFERENCE, Twice, Wrong, is_identifier};
use super::ini::{Dialect, Profile, Profiles};
use super::section::{DEFAULT, Section};

/// Why an SDK refuses a whole file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// It is not UTF-8.
    #[error("it is not UTF-8")]
    NotText,
    /// It begins with bytes that no editor shows, as some editors write them.
    #[error("it begins with a byte-order mark")]
    ByteOrderMark,
    /// A line that is neither a section nor a key.
    #[error("line {0} cannot be read")]
    Line(usize),
    /// A section that is there already.
    #[error("a section is written twice (line {0})")]
    Section(usize),
    /// A key that is there already.
    #[error("a key is written twice in its section (line {0})")]
    Key(usize),
}

impl Profiles {
    /// What most SDKs read in a file: for whoever is none. Nothing is refused.
    pub fn parse(dialect: Dialect, bytes: &[u8]) -> Self {
        read(&REFERENCE, dialect, bytes, usize::MAX).unwrap_or_default()
    }
}

/// Reads a file as one SDK does, `most` profiles and SSO sessions of it.
///
/// # Errors
/// Why that refuses it.
pub(super) fn read(
    grammar: &'static Grammar,
    dialect: Dialect,
    bytes: &[u8],
    most: usize,
) -> Result<Profiles, Refused> {
    let text = match (std::str::from_utf8(bytes), grammar.encoding) {
        (_, Encoding::Marked) => marked(bytes),
        (Ok(text), _) => Cow::Borrowed(text),
        (Err(_), Encoding::Refused) => return Err(Refused::NotText),
        (Err(_), Encoding::Emptied) => return Ok(Profiles::default()),
        (Err(_), Encoding::Replaced) => String::from_utf8_lossy(bytes),
    };
    let mut parser = Parser::new(grammar, dialect, most);
    let has_mark = text.starts_with('\u{feff}') && !grammar.blanks.include('\u{feff}');
    for (number, line) in lines(&text, grammar.ends_at_return).enumerate() {
        parser.line(line).map_err(|fault| match fault {
            _ if number == 0 && has_mark => Refused::ByteOrderMark,
            Fault::Line => Refused::Line(number + 1),
            Fault::Section => Refused::Section(number + 1),
            Fault::Key => Refused::Key(number + 1),
        })?;
    }
    Ok(parser.finish())
}

/// The text of a file that may begin with a byte-order mark, as editors of Windows write it.
fn marked(bytes: &[u8]) -> Cow<'_, str> {
    let wide = |bytes: &[u8], unit: fn([u8; 2]) -> u16| {
        let pairs = bytes.chunks_exact(2).filter_map(|pair| pair.try_into().ok());
        let units: Vec<u16> = pairs.map(unit).collect();
        Cow::Owned(String::from_utf16_lossy(&units))
    };
    match bytes {
        [0xff, 0xfe, rest @ ..] => wide(rest, u16::from_le_bytes),
        [0xfe, 0xff, rest @ ..] => wide(rest, u16::from_be_bytes),
        [0xef, 0xbb, 0xbf, rest @ ..] => String::from_utf8_lossy(rest),
        _ => String::from_utf8_lossy(bytes),
    }
}

/// The lines, without what ends them.
fn lines(text: &str, ends_at_return: bool) -> impl Iterator<Item = &str> {
    let lines = text.split('\n').map(|line| line.strip_suffix('\r').unwrap_or(line));
    // Not even an empty piece makes a difference.
    lines.flat_map(move |line| line.split(move |c| ends_at_return && c == '\r'))
}

/// What is wrong with a line.
enum Fault {
    Line,
    Section,
    Key,
}

/// A key whose value may go on in the next line.
struct Key {
    indent: usize,
    /// Whether it has a value of its own.
    is_empty: bool,
}

/// What was read so far. Whoever wrote the file may mean to keep its reader busy: each line costs no more than its length.
struct Parser<'a> {
    grammar: &'static Grammar,
    dialect: Dialect,
    most: usize,
    read: Profiles,
    /// It replaces `[default]` wherever they stand.
    prefixed_default: Option<Profile>,
    /// They count where there is no profile of the name without a mark.
    spare: BTreeMap<String, Profile>,
    headers: HashSet<&'a str>,
    section: Section<'a>,
    /// What the section has so far. It is put into its place when the section ends, and not looked up for each key.
    profile: Profile,
    /// Whether any key was taken in this section, even one that is forgotten.
    has_keys: bool,
    /// The keys of this section, where none may be written twice.
    keys: HashSet<String>,
    /// Whether one was, so that there is no such section.
    is_dropped: bool,
    key: Option<Key>,
}

impl<'a> Parser<'a> {
    fn new(grammar: &'static Grammar, dialect: Dialect, most: usize) -> Self {
        Self {
            grammar,
            dialect,
            most,
            read: Profiles::default(),
            prefixed_default: None,
            spare: BTreeMap::new(),
            headers: HashSet::new(),
            section: Section::None,
            profile: Profile::default(),
            has_keys: false,
            keys: HashSet::new(),
            is_dropped: false,
            key: None,
        }
    }

    fn trimmed(&self, text: &'a str) -> &'a str {
        text.trim_matches(|c| self.grammar.blanks.include(c))
    }

    fn line(&mut self, line: &'a str) -> Result<(), Fault> {
        let grammar = self.grammar;
        let body = self.trimmed(line);
        let begin = if grammar.indented_comments { body } else { line };
        if body.is_empty() || begin.starts_with(grammar.comments) {
            return Ok(());
        }
        let indent = line.len() - line.trim_start_matches(|c| grammar.blanks.include(c)).len();
        let goes_on = match grammar.indented {
            Indented::GoesOnIfDeeper => self.key.as_ref().is_some_and(|key| indent > key.indent),
            Indented::GoesOn => line.starts_with([' ', '\t']),
            Indented::BelowEmpty | Indented::Plain => false,
        };
        if goes_on {
            return self.go_on(body);
        }
        if let Some(name) = self.header(line, body)? {
            return self.begin(name);
        }
        self.take(body, indent)
    }

    /// An indented line that goes on with the value above, of which the first line alone is kept.
    fn go_on(&self, body: &str) -> Result<(), Fault> {
        let is_wrong = match &self.key {
            None => true,
            Some(key) => key.is_empty && body.split_once('=').is_none_or(|(name, _)| name.is_empty()),
        };
        let is_looked_at =
            self.grammar.wrong_continuation == Wrong::Refused && !matches!(self.section, Section::Ignored);
        if is_wrong && is_looked_at { Err(Fault::Line) } else { Ok(()) }
    }

    /// The name in a header; `None` where the line is none.
    fn header(&self, line: &'a str, body: &'a str) -> Result<Option<&'a str>, Fault> {
        let grammar = self.grammar;
        // Where indented lines go on, no header is indented.
        let line = if grammar.indented == Indented::GoesOn { line } else { body };
        if !line.starts_with('[') {
            return Ok(None);
        }
        let end = match grammar.header {
            Header::AtLastBracket => {
                return Ok(line.rfind(']').filter(|end| *end > 1).and_then(|end| line.get(1..end)));
            }
            Header::AtEnd => line.len(),
            Header::BeforeComment => line.find(['#', ';']).unwrap_or(line.len()),
            Header::BeforeSpacedComment => self.comment(line).unwrap_or(line.len()),
        };
        let header = self.trimmed(line.get(..end).unwrap_or_default());
        let name = header.strip_prefix('[').and_then(|header| header.strip_suffix(']'));
        match name {
            // What is not closed could be a key for all but those who expect a header here.
            None if grammar.wrong_line == Wrong::Refused && grammar.header != Header::AtEnd => Err(Fault::Line),
            None => Ok(None),
            Some(name) if grammar.keeps_blanks_of_names => Ok(Some(name)),
            Some(name) => Ok(Some(self.trimmed(name))),
        }
    }

    /// Where a comment begins that has a blank before it.
    fn comment(&self, line: &str) -> Option<usize> {
        let mut marks = line.match_indices(['#', ';']).map(|(at, _)| at);
        marks.find(|at| line.get(..*at).is_some_and(|before| before.ends_with(|c| self.grammar.blanks.include(c))))
    }

    /// Begins a section.
    fn begin(&mut self, name: &'a str) -> Result<(), Fault> {
        self.end();
        self.key = None;
        self.keys.clear();
        let is_again = !self.headers.insert(name);
        if is_again && self.grammar.repeated_section == Again::Refused {
            return Err(Fault::Section);
        }
        if name.is_empty() && self.grammar.wrong_line == Wrong::Refused && self.grammar.naming != Naming::Marked {
            return Err(Fault::Line);
        }
        self.section = match self.grammar.repeated_section {
            Again::Ignored if is_again => Section::Other,
            _ => Section::named(self.grammar.naming, self.dialect, name),
        };
        // It goes on with what an earlier section of the same name has.
        let earlier = match &self.section {
            Section::Profile(name) => self.read.remove_profile(name),
            Section::SsoSession(name) => self.read.remove_session(name),
            Section::PrefixedDefault if self.grammar.prefixed_default_wins => self.prefixed_default.take(),
            Section::PrefixedDefault => self.read.remove_profile(DEFAULT),
            Section::Spare(_) | Section::Other | Section::Ignored | Section::None => None,
        };
        let is_kept = self.grammar.repeated_section == Again::GoesOn;
        self.has_keys = is_kept && earlier.is_some();
        self.profile = earlier.filter(|_| is_kept).unwrap_or_default();
        Ok(())
    }

    /// Takes the line of a key.
    fn take(&mut self, body: &'a str, indent: usize) -> Result<(), Fault> {
        let grammar = self.grammar;
        let wrong = |wrong: Wrong| if wrong == Wrong::Refused { Err(Fault::Line) } else { Ok(()) };
        if matches!(self.section, Section::Ignored) {
            return Ok(());
        }
        let is_below = self.key.as_ref().is_some_and(|key| key.is_empty) && indent > 0;
        if is_below && grammar.indented == Indented::BelowEmpty && body.contains(grammar.separators) {
            return Ok(());
        }
        let end = if grammar.trailing_comments { self.comment(body) } else { None };
        let content = end.and_then(|end| body.get(..end)).unwrap_or(body);
        let Some((key, value)) = content.split_once(grammar.separators) else {
            if grammar.indented != Indented::BelowEmpty {
                self.key = None;
            }
            return wrong(grammar.wrong_line);
        };
        if matches!(self.section, Section::None) {
            return wrong(grammar.homeless_key);
        }
        let (key, value) = (self.trimmed(key), self.trimmed(value));
        if key.is_empty() && !grammar.nameless_is_right {
            self.key = None;
            return wrong(grammar.wrong_line);
        }
        self.key = Some(Key { indent, is_empty: value.is_empty() });
        if grammar.keys_are_identifiers && !is_identifier(key) {
            return Ok(());
        }
        // What is not set for JavaScript does not even undo what was.
        if grammar.empty_is_unset && value.is_empty() && grammar.indented == Indented::BelowEmpty {
            return Ok(());
        }
        self.has_keys = true;
        let key = if grammar.any_case { Cow::Owned(key.to_ascii_lowercase()) } else { Cow::Borrowed(key) };
        let value = if grammar.unquotes { unquoted(value) } else { value };
        self.profile.put(&key, value);
        let is_again = grammar.repeated_key != Twice::LaterWins && !self.keys.insert(key.into_owned());
        match grammar.repeated_key {
            Twice::Refused if is_again => Err(Fault::Key),
            Twice::DropsSection => {
                self.is_dropped |= is_again;
                Ok(())
            }
            Twice::Refused | Twice::LaterWins => Ok(()),
        }
    }

    /// Puts what the section has into its place.
    fn end(&mut self) {
        let mut profile = std::mem::take(&mut self.profile);
        let section = std::mem::replace(&mut self.section, Section::None);
        if self.grammar.empty_is_unset {
            profile.forget_empty();
        }
        let is_dropped = std::mem::take(&mut self.is_dropped);
        if is_dropped || (!self.grammar.empty_section_is_there && !self.has_keys) {
            return;
        }
        match section {
            Section::Profile(name) => self.read.put_profile(&name, profile, self.most),
            Section::SsoSession(name) => self.read.put_session(&name, profile, self.most),
            Section::PrefixedDefault if self.grammar.prefixed_default_wins => self.prefixed_default = Some(profile),
            Section::PrefixedDefault => self.read.put_profile(DEFAULT, profile, self.most),
            Section::Spare(name) => self.spare(&name, profile),
            Section::Other | Section::Ignored | Section::None => {}
        }
    }

    /// Puts a profile by that is used where there is no other: one more than there may be, so that it is noticed.
    fn spare(&mut self, name: &str, profile: Profile) {
        if self.spare.len() <= self.most && !self.spare.contains_key(name) {
            self.spare.insert(name.to_owned(), profile);
        }
    }

    fn finish(mut self) -> Profiles {
        self.end();
        for (name, profile) in std::mem::take(&mut self.spare) {
            if self.read.get(&name).is_none() {
                self.read.put_profile(&name, profile, self.most);
            }
        }
        if let Some(profile) = self.prefixed_default {
            self.read.put_profile(DEFAULT, profile, self.most);
        }
        self.read
    }
}

/// A value without the quotes around it.
fn unquoted(value: &str) -> &str {
    let within = |quote| value.strip_prefix(quote)?.strip_suffix(quote);
    within('"').or_else(|| within('\'')).filter(|value| !value.is_empty()).unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::step::Chain;
    use super::*;

    /// Keys of which it is known that they are there.
    const KEYS: [&str; 5] =
        ["aws_access_key_id", "aws_secret_access_key", "aws_security_token", "aws_session_token", "external_id"];

    /// One chain of each grammar.
    const READERS: [Chain; 7] =
        [Chain::Botocore, Chain::JavaV1, Chain::JavaV2, Chain::Rust, Chain::Go, Chain::JsV3, Chain::DotNetV4];

    fn config(text: &str) -> Profiles {
        Profiles::parse(Dialect::Config, text.as_bytes())
    }

    fn credentials(text: &str) -> Profiles {
        Profiles::parse(Dialect::Credentials, text.as_bytes())
    }

    fn names(profiles: &Profiles) -> Vec<&str> {
        profiles.iter().map(|(name, _)| name).collect()
    }

    /// What each SDK reads under `region` in the profile `a`: its value, `-` where the key is not there, `none` where the
    /// profile is not, and `refused`.
    fn regions(dialect: Dialect, bytes: &[u8]) -> [String; 7] {
        READERS.map(|chain| match read(Grammar::of(chain), dialect, bytes, usize::MAX) {
            Err(_) => "refused".to_owned(),
            Ok(read) => read.get("a").map_or("none", |own| own.value("region").unwrap_or("-")).to_owned(),
        })
    }

    /// In the order of the readers: botocore, Java 1 and 2, Rust, Go, JavaScript and .NET.
    #[test]
    fn each_sdk_reads_the_credentials_by_its_own_grammar() {
        const R: &str = "refused";
        let all = |value| [value; 7];
        let rows: [(&[u8], [&str; 7]); 44] = [
            (b"[a]\nregion = b\n", all("b")),
            (b"[a]\r\nregion = b\r\n", all("b")),
            (b"[a]\rregion = b\r", ["b", "b", "b", R, "none", "none", "b"]),
            (b"\xef\xbb\xbf[a]\nregion = b\n", [R, R, R, R, "none", "b", "b"]),
            (b"\xef\xbb\xbf\n[a]\nregion = b\n", [R, R, R, R, "b", "b", "b"]),
            (b"\xff\xfe[\0a\0]\0\n\0", [R, R, R, "none", "none", "none", "-"]),
            (b"# cl\xe9\n[a]\nregion = b\n", [R, "b", "b", "none", "b", "b", "b"]),
            (b"; c\n[a]\nregion = b\n", ["b", R, "b", "b", "b", "b", "b"]),
            (b"[a]\n  # c\nregion = b\n", ["b", "b", R, R, "b", "b", "b"]),
            (b"[a]\nregion = b\n  # c\n", all("b")),
            (b"[a]\nregion = b # c\n", ["b # c", "b # c", "b", "b", "b", "b", "b # c"]),
            (b"[a]\nregion = b#c\n", all("b#c")),
            (b"[a]\nregion: b\n", ["b", R, R, R, "b", "none", R]),
            (b"[a]\nregion: b = c\n", ["b = c", "-", "-", "-", "b = c", "-", "-"]),
            (b"[a]\nREGION = b\n", ["b", "-", "-", "b", "b", "-", "b"]),
            (b"[a]\nregion =\n", ["", "", "", "", "-", "none", ""]),
            (b"[a]\nx = y\nregion =\n", ["", "", "", "", "-", "-", ""]),
            (b"[a]\nregion = b\nregion =\n", [R, R, "", "", "-", "b", "none"]),
            (b"[a]\nregion\n", [R, R, R, R, "-", "none", R]),
            (b"[a]\n= b\nregion = c\n", [R, "c", R, R, "c", "c", "c"]),
            (b"region = b\n[a]\nregion = c\n", [R, R, R, R, "c", "c", "c"]),
            (b"[a]\nregion = b\nregion = c\n", [R, R, "c", "c", "c", "c", "none"]),
            (b"[a]\nx = b\nx = c\nregion = d\n", [R, R, "d", "d", "d", "d", "none"]),
            (b"[a]\nregion = b\n[a]\nx = c\n", [R, "-", "b", "b", "b", "b", "b"]),
            (b"[a]\nregion = b\n[c]\n[a]\nregion = d\n", [R, "d", "d", "d", "d", "d", "b"]),
            (b"[a] # c\nregion = b\n", ["b", R, "b", "b", "b", "b", R]),
            (b"[a]# c\nregion = b\n", ["b", R, "b", "b", "b", "none", R]),
            (b"[a] c\nregion = b\n", ["b", R, R, R, "none", "none", R]),
            (b"[a\nregion = b\n", [R, R, R, R, "none", "none", R]),
            (b"[ a ]\nregion = b\n", ["none", "b", "b", "b", "b", "none", "b"]),
            (b"[a]\n  region = b\n", ["b", "b", R, R, "-", "b", "b"]),
            (b"[a]\nx = y\n  region = b\n", ["-", "b", "-", "-", "-", "b", "b"]),
            (b"[a]\nx =\n  region = b\n", ["-", "b", "-", "-", "-", "none", "-"]),
            (b"[a]\nx =\n  region\n", [R, R, R, R, "-", "none", R]),
            (b"  [a]\nregion = b\n", ["b", "b", R, R, "none", "b", "b"]),
            ("[a]\nregion\u{a0}=\u{a0}b\n".as_bytes(), ["b", "-", "-", "-", "b", "b", "b"]),
            (b"[a]\nregion = \"b\"\n", ["\"b\"", "\"b\"", "\"b\"", "\"b\"", "b", "\"b\"", "\"b\""]),
            (b"[profile a]\nregion = b\n", ["none", "none", "none", "none", "none", "none", "b"]),
            (b"[a b]\nx\n[a]\nregion = c\n", [R, R, "c", R, "c", "c", R]),
            (b"<!DOCTYPE html>\n<body class=\"x\">\n", [R, R, R, R, "none", "none", R]),
            (b"[profile a]\nregion = b\n[a]\nregion = c\n", ["c", "c", "c", "c", "c", "c", "c"]),
            (b"[a]\nregion = b\nREGION = c\n", [R, "b", "b", "c", "c", "b", "none"]),
            (b"\xff\xfe[\0a\0]\0\n\0r\0e\0g\0i\0o\0n\0=\0b\0\n\0", [R, R, R, "none", "none", "none", "b"]),
            (b"[]\n[a]\nregion = b\n", [R, R, R, R, "b", "b", "b"]),
        ];

        for (bytes, expected) in rows {
            let shown = String::from_utf8_lossy(bytes);
            assert_eq!(regions(Dialect::Credentials, bytes), expected.map(str::to_owned), "{shown:?}");
        }
    }

    #[test]
    fn each_sdk_names_the_sections_of_the_configuration_by_its_own_grammar() {
        let all = |value| [value; 7];
        let rows: [(&str, [&str; 7]); 9] = [
            ("[profile a]\nregion = b\n", all("b")),
            ("[a]\nregion = b\n", ["none", "b", "none", "none", "none", "none", "none"]),
            ("[profile  a]\nregion = b\n", ["b", "none", "b", "b", "b", "none", "b"]),
            ("[profile\ta]\nregion = b\n", ["b", "none", "b", "b", "b", "b", "b"]),
            ("[profile \"a\"]\nregion = b\n", ["b", "none", "none", "none", "none", "b", "none"]),
            ("[ profile a ]\nregion = b\n", ["none", "b", "b", "b", "b", "none", "b"]),
            ("[profile a b]\nregion = c\n", all("none")),
            ("[sso-session a]\nregion = b\n", all("none")),
            ("[profile a]\n", ["-", "-", "-", "-", "-", "none", "-"]),
        ];
        for (text, expected) in rows {
            assert_eq!(regions(Dialect::Config, text.as_bytes()), expected.map(str::to_owned), "{text:?}");
        }

        for (text, later_wins) in [
            ("[default]\nregion=a\nsso_region=b\n[profile default]\nregion=c", true),
            ("[profile default]\nregion=c\n[default]\nregion=a", false),
        ] {
            let of = |chain| {
                let read = read(Grammar::of(chain), Dialect::Config, text.as_bytes(), usize::MAX).unwrap();
                let own = read.get("default").unwrap();
                (own.value("region").map(str::to_owned), own.has("sso_region"))
            };
            for chain in [Chain::JavaV2, Chain::Rust, Chain::Go, Chain::JsV3] {
                assert_eq!(of(chain), (Some("c".to_owned()), false), "{chain}");
            }
            assert_eq!(of(Chain::Botocore), (Some(if later_wins { "c" } else { "a" }.to_owned()), false));
            // The one without a mark, wherever it stands.
            assert_eq!(of(Chain::DotNetV3), (Some("a".to_owned()), later_wins));
        }
    }

    #[test]
    fn a_refusal_says_where_and_shows_nothing_of_it() {
        let of = |bytes: &[u8]| {
            read(Grammar::of(Chain::Botocore), Dialect::Config, bytes, usize::MAX).unwrap_err().to_string()
        };
        assert_eq!(of(b"[default]\nx\n"), "line 2 cannot be read");
        assert_eq!(of(b"[default]\na=b\na=c\n"), "a key is written twice in its section (line 3)");
        assert_eq!(of(b"[default]\n[default]\n"), "a section is written twice (line 2)");
        assert_eq!(of(b"\xef\xbb\xbf[default]\n"), "it begins with a byte-order mark");
        assert_eq!(of(b"\xff"), "it is not UTF-8");
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
    }

    #[test]
    fn whoever_is_no_sdk_reads_what_most_of_them_do() {
        let read = config(
            "# first\n; second\n[ profile a ] # third\nRegion=eu-west-1\nrole_arn  = arn:aws:iam::1:role/a;b # c\n\
             sso_start_url = https://d/#/e\t; f\nsource_profile =\n  # g\nsso_region = =x\nnothing\n",
        );
        let profile = read.get("a").unwrap();
        assert_eq!(profile.value("region"), Some("eu-west-1"));
        assert_eq!(profile.value("role_arn"), Some("arn:aws:iam::1:role/a;b"));
        assert_eq!(profile.value("sso_start_url"), Some("https://d/#/e"));
        assert_eq!(profile.value("source_profile"), Some(""));
        assert_eq!(profile.value("sso_region"), Some("=x"));
        assert_eq!(profile.value("mfa_serial"), None);
        let nested = config("[default]\ns3 =\n  region = a\n  role_arn = b\nregion = c\n\td = e\n");
        assert_eq!(nested.get("default").unwrap().iter().collect::<Vec<_>>(), [("region", Some("c"))]);
    }

    /// What `configparser` of Python 3.11 makes of the same texts.
    #[test]
    fn indented_keys_and_sections_are_read_as_python_does() {
        let python = |text: &str| read(Grammar::of(Chain::Botocore), Dialect::Config, text.as_bytes(), usize::MAX);
        for (text, region, role) in [
            ("[default]\n  region = a\n  role_arn = b\n", Some("a"), Some("b")),
            ("[default]\n  region = a\n    role_arn = b\n  sso_region = c\n", Some("a"), None),
            ("[default]\n  region = a\nrole_arn = b\n    x\n", Some("a"), Some("b")),
            ("[default]\n  s3 =\n    region = a\n  role_arn = b\n", None, Some("b")),
            ("  [default]\nregion = a\n  [profile x]\nrole_arn = b\n", Some("a"), Some("b")),
            ("[default]\n  region = a\n [profile x]\nrole_arn = b\n", Some("a"), None),
            ("[default]\nregion = a\n\n  # c\n  role_arn = b\n", Some("a"), None),
        ] {
            let read = python(text).unwrap();
            let profile = read.get("default").unwrap();
            assert_eq!((profile.value("region"), profile.value("role_arn")), (region, role), "{text}");
        }
        for text in ["[default]\n  x\n", "  region = a\n[default]\n", "[default]\n  region = a\n  x\n"] {
            assert!(python(text).is_err(), "{text}");
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
        for key in KEYS {
            assert!(profile.has(key) && profile.value(key).is_none(), "{key}");
        }
        assert_eq!(profile.value("credential_process"), Some("/opt/tool"));
        assert_eq!(profile.value("x_security_token_expires"), Some("2026-03-01T16:00:00Z"));
        assert_eq!(profile.iter().count(), KEYS.len() + 2);
        assert!(!format!("{read:?}").to_lowercase().contains(&SECRET.to_lowercase()), "{read:?}");
    }

    /// CPU time, of this thread alone: others that run meanwhile do not count.
    #[expect(clippy::disallowed_methods, reason = "the time that a thread has worked is no time of day")]
    #[cfg(unix)]
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

    #[cfg(unix)]
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
            let each = |text: &str| {
                READERS.map(|chain| read(Grammar::of(chain), Dialect::Config, text.as_bytes(), usize::MAX))
            };
            let (few, many) = (cpu_of(|| each(&short)), cpu_of(|| each(&long)));
            println!("{shape}: {:.1} ms for 128 KiB, {:.1} ms for 1 MiB", few * 1e3, many * 1e3);
            // Whatever grows with the square of the length takes 64 times as long.
            assert!(many < few.max(1e-3) * 28.0, "{shape}: {few} s for 128 KiB, {many} s for 1 MiB");
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
    }

    proptest! {
        #[test]
        fn no_bytes_make_any_of_them_panic(
            bytes: Vec<u8>,
            lines in "(\\[[a-z \"\\\\']*\\]?|[a-z]* ?[=:]?[ #;a-z\u{e4}\u{a0}]*|[ \t]*[#;=]*|\r?\n){0,40}",
        ) {
            for dialect in [Dialect::Config, Dialect::Credentials] {
                for bytes in [bytes.as_slice(), lines.as_bytes()] {
                    let once = Profiles::parse(dialect, bytes);
                    prop_assert_eq!(once.iter().count(), once.clone().merge(once.clone()).iter().count());
                    for chain in READERS {
                        let _ = read(Grammar::of(chain), dialect, bytes, usize::MAX);
                    }
                }
            }
        }

        #[test]
        fn no_value_of_a_secret_is_kept(
            key in proptest::sample::select(KEYS.to_vec()), sign in "[=:]", value in "[A-Za-z0-9+/]{12,40}",
        ) {
            let text = format!("[default]\n{key} {sign} {value}\n");
            for chain in Chain::ALL {
                let shown = format!("{:?}", read(Grammar::of(chain), Dialect::Credentials, text.as_bytes(), usize::MAX));
                prop_assert!(!shown.contains(&value));
            }
        }
    }
}
