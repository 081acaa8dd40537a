//! How each SDK reads the shared files: one row for each construct, one column for each SDK.
//!
//! | construct | botocore | Java v1 | Java v2 | Rust | Go v2 | JavaScript v3 | .NET |
//! |---|---|---|---|---|---|---|---|
//! | byte-order mark | refuses | refuses | refuses | refuses | skips that line | a blank | a blank, and tells UTF-16 |
//! | not UTF-8 | refuses | replaces | replaces | an empty file | any bytes | replaces | replaces |
//! | a line ends at | `\n`, `\r` | `\n`, `\r` | `\n`, `\r` | `\n` | `\n` | `\n` | `\n`, `\r` |
//! | blanks | of Unicode | up to U+0020 | up to U+0020 | space, tab | of Unicode | of Unicode, and the mark | of Unicode |
//! | `# x` at the beginning | comment | comment | comment | comment | comment | comment | comment |
//! | `; x` at the beginning | comment | refuses | comment | comment | comment | comment | comment |
//! | an indented comment | comment | comment | goes on | goes on | comment | comment | comment |
//! | `key = value # x` | of the value | of the value | comment | comment | comment | comment | of the value |
//! | `key: value` | a key | refuses | refuses | refuses | a key | skips | refuses |
//! | `KEY = value` | a key | another key | another key | a key | a key | another key | a key |
//! | `key =` | an empty value | an empty value | an empty value | an empty value | not set | not set | an empty value |
//! | a line without a separator | refuses | refuses | refuses | refuses | skips | skips | refuses |
//! | a key before any section | refuses | refuses | refuses | refuses | skips | skips | skips |
//! | a key twice | refuses | refuses | the later | the later | the later | the later | no such section |
//! | a section twice | refuses | the later alone | together | together | together | together | the first alone |
//! | `[a] # x` | a section | refuses | a section | a section | a section | a section | refuses |
//! | `[a` | refuses | refuses | refuses | refuses | skips | skips | refuses |
//! | `[ a ]` | named ` a ` | named `a` | named `a` | named `a` | named `a` | named ` a ` | named `a` |
//! | an indented key | goes on below another | a key | goes on | goes on | goes on | a key, below an empty one not | a key, below an empty one not |
//! | an indented section | a section | a section | goes on | goes on | goes on | a section | a section |
//! | `[default]` and `[profile default]` | the later | apart | the second | the second | the second | the second | the first |
//! | names with other characters | taken | taken | skipped | skipped | taken | skipped | taken |
//!
//! Sources: `configloader.py` of botocore 1.44 and `configparser` of Python; `AbstractProfilesConfigFileScanner` and
//! `BasicProfileConfigLoader` of aws-sdk-java 1.12; `ProfileFileReader` of aws-sdk-java-v2 2.33; `env_config::parse` and
//! `env_config::normalize` of aws-runtime 1.6; `internal/ini` of aws-sdk-go-v2 since its version 1.7.1;
//! `shared-ini-file-loader` of Smithy for JavaScript 4; `IniFile`, `ProfileIniFile`, `OptimisticLockedTextFile` and
//! `SharedCredentialsFile` of aws-sdk-net 3.7 and 4.0, which read alike, and with them the tools for PowerShell. Go and .NET stand
//! by their sources: what the others make of 500 files that are made up is compared with theirs (`lab_chains`).
//!
//! For .NET `[profile a]` is a profile `a` of the credentials as well, where there is no `[a]`.

use super::step::Chain;

/// What becomes of what cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wrong {
    /// The whole file is refused.
    Refused,
    /// It is skipped.
    Skipped,
}

/// What becomes of bytes that are not UTF-8.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Encoding {
    /// The whole file is refused.
    Refused,
    /// The file counts as empty.
    Emptied,
    /// They are replaced, or taken as they are.
    Replaced,
    /// As before, but that a byte-order mark tells UTF-16, and is taken off.
    Marked,
}

/// What is white space.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Blanks {
    /// A space and a tab.
    Reference,
    /// All up to U+0020, as `trim` of Java has it.
    Control,
    /// Those of Unicode.
    Unicode,
    /// Those of JavaScript, of which the byte-order mark is one.
    Script,
}

/// What an indented line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Indented {
    /// It goes on with the key above where it is indented more than that.
    GoesOnIfDeeper,
    /// It goes on with the key above.
    GoesOn,
    /// A key of the one above where that has no value.
    BelowEmpty,
    /// A line like any other.
    Plain,
}

/// How the header of a section ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Header {
    /// At the last bracket of the line, whatever follows.
    AtLastBracket,
    /// At the end of the line.
    AtEnd,
    /// Before a comment.
    BeforeComment,
    /// Before a comment that has a blank before it.
    BeforeSpacedComment,
}

/// What a second section of the same name is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Again {
    /// The whole file is refused.
    Refused,
    /// It goes on with the first.
    GoesOn,
    /// It takes the place of the first.
    Replaces,
    /// It means nothing.
    Ignored,
}

/// What a second key of the same name is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Twice {
    /// The whole file is refused.
    Refused,
    /// It takes the place of the first.
    LaterWins,
    /// There is no such section.
    DropsSection,
}

/// How sections are named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Naming {
    /// Words as in a shell.
    Shell,
    /// Whatever stands there; in the configuration `profile` may stand before it.
    Anything,
    /// `profile NAME` in letters, digits and some signs. Others are skipped with all that is below them.
    Identifier,
    /// The same, but what is below a section that is skipped has to be right.
    StrictIdentifier,
    /// A type, blanks, and a name of any kind.
    TypeAndName,
    /// A type, one blank, and a name in letters, digits and some signs.
    OneBlank,
    /// `profile`, blanks, and a name of any kind, in both files.
    Marked,
    /// What most of them take.
    Reference,
}

/// How one SDK reads the files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Grammar {
    pub encoding: Encoding,
    pub blanks: Blanks,
    /// Whether a carriage return alone ends a line.
    pub ends_at_return: bool,
    /// What a comment begins with where it is a line of its own.
    pub comments: &'static [char],
    /// Whether such a line may be indented.
    pub indented_comments: bool,
    /// Whether a comment may follow a value.
    pub trailing_comments: bool,
    pub separators: &'static [char],
    /// Whether keys may be written in capitals.
    pub any_case: bool,
    /// Whether keys have to be letters, digits and some signs.
    pub keys_are_identifiers: bool,
    /// Whether a key without a value counts as not written.
    pub empty_is_unset: bool,
    /// A line that is neither a section nor a key.
    pub wrong_line: Wrong,
    /// Whether a key may have no name.
    pub nameless_is_right: bool,
    /// A key before any section.
    pub homeless_key: Wrong,
    pub repeated_key: Twice,
    pub repeated_section: Again,
    pub header: Header,
    /// Whether blanks within the brackets belong to the name.
    pub keeps_blanks_of_names: bool,
    pub indented: Indented,
    /// An indented line where there is nothing to go on with, or that is no key below one without a value.
    pub wrong_continuation: Wrong,
    pub naming: Naming,
    /// Whether `[profile default]` wins over `[default]` wherever they stand.
    pub prefixed_default_wins: bool,
    /// Whether a section without keys is a profile.
    pub empty_section_is_there: bool,
    /// Whether quotes around a value are taken off.
    pub unquotes: bool,
}

const BOTH: &[char] = &['#', ';'];

/// What most of them understand, and a little more: for whatever is no chain of an SDK.
pub(super) const REFERENCE: Grammar = Grammar {
    encoding: Encoding::Replaced,
    blanks: Blanks::Script,
    ends_at_return: false,
    comments: BOTH,
    indented_comments: true,
    trailing_comments: true,
    separators: &['='],
    any_case: true,
    keys_are_identifiers: false,
    empty_is_unset: false,
    wrong_line: Wrong::Skipped,
    nameless_is_right: false,
    homeless_key: Wrong::Skipped,
    repeated_key: Twice::LaterWins,
    repeated_section: Again::GoesOn,
    header: Header::BeforeComment,
    keeps_blanks_of_names: false,
    indented: Indented::GoesOnIfDeeper,
    wrong_continuation: Wrong::Skipped,
    naming: Naming::Reference,
    prefixed_default_wins: true,
    empty_section_is_there: true,
    unquotes: false,
};

const BOTOCORE: Grammar = Grammar {
    encoding: Encoding::Refused,
    blanks: Blanks::Unicode,
    ends_at_return: true,
    trailing_comments: false,
    separators: &['=', ':'],
    wrong_line: Wrong::Refused,
    homeless_key: Wrong::Refused,
    repeated_key: Twice::Refused,
    repeated_section: Again::Refused,
    header: Header::AtLastBracket,
    keeps_blanks_of_names: true,
    wrong_continuation: Wrong::Refused,
    naming: Naming::Shell,
    prefixed_default_wins: false,
    ..REFERENCE
};

const JAVA_V1: Grammar = Grammar {
    blanks: Blanks::Control,
    ends_at_return: true,
    comments: &['#'],
    trailing_comments: false,
    any_case: false,
    wrong_line: Wrong::Refused,
    nameless_is_right: true,
    homeless_key: Wrong::Refused,
    repeated_key: Twice::Refused,
    repeated_section: Again::Replaces,
    header: Header::AtEnd,
    indented: Indented::Plain,
    naming: Naming::Anything,
    prefixed_default_wins: false,
    ..REFERENCE
};

const JAVA_V2: Grammar = Grammar {
    blanks: Blanks::Control,
    ends_at_return: true,
    indented_comments: false,
    any_case: false,
    keys_are_identifiers: true,
    wrong_line: Wrong::Refused,
    homeless_key: Wrong::Refused,
    indented: Indented::GoesOn,
    wrong_continuation: Wrong::Refused,
    naming: Naming::Identifier,
    ..REFERENCE
};

const RUST: Grammar = Grammar {
    encoding: Encoding::Emptied,
    blanks: Blanks::Reference,
    indented_comments: false,
    keys_are_identifiers: true,
    wrong_line: Wrong::Refused,
    homeless_key: Wrong::Refused,
    indented: Indented::GoesOn,
    wrong_continuation: Wrong::Refused,
    naming: Naming::StrictIdentifier,
    ..REFERENCE
};

const GO: Grammar = Grammar {
    blanks: Blanks::Unicode,
    separators: &['=', ':'],
    empty_is_unset: true,
    indented: Indented::GoesOn,
    naming: Naming::TypeAndName,
    unquotes: true,
    ..REFERENCE
};

const JS: Grammar = Grammar {
    any_case: false,
    empty_is_unset: true,
    header: Header::BeforeSpacedComment,
    keeps_blanks_of_names: true,
    indented: Indented::BelowEmpty,
    naming: Naming::OneBlank,
    empty_section_is_there: false,
    ..REFERENCE
};

const DOTNET: Grammar = Grammar {
    encoding: Encoding::Marked,
    blanks: Blanks::Unicode,
    ends_at_return: true,
    trailing_comments: false,
    wrong_line: Wrong::Refused,
    nameless_is_right: true,
    repeated_key: Twice::DropsSection,
    repeated_section: Again::Ignored,
    header: Header::AtEnd,
    indented: Indented::BelowEmpty,
    naming: Naming::Marked,
    prefixed_default_wins: false,
    ..REFERENCE
};

impl Grammar {
    /// How the SDK of a chain reads.
    pub(super) const fn of(chain: Chain) -> &'static Self {
        match chain {
            Chain::Botocore => &BOTOCORE,
            Chain::JavaV1 => &JAVA_V1,
            Chain::JavaV2 => &JAVA_V2,
            Chain::Rust => &RUST,
            Chain::Go => &GO,
            Chain::JsV3 => &JS,
            Chain::DotNetV3 | Chain::DotNetV4 | Chain::PowerShellV4 | Chain::PowerShellV5 => &DOTNET,
        }
    }
}

impl Blanks {
    /// Whether this is white space.
    pub(super) fn include(self, c: char) -> bool {
        match self {
            Self::Reference => matches!(c, ' ' | '\t'),
            Self::Control => c <= ' ',
            // Python counts the separators of ASCII among them, which nobody writes.
            Self::Unicode => c.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&c),
            Self::Script => c == '\u{feff}' || (c.is_whitespace() && c != '\u{85}'),
        }
    }
}

/// Whether a text is made of letters, digits and the signs that the strict SDKs allow.
pub(super) fn is_identifier(text: &str) -> bool {
    text.chars().all(|c| c.is_ascii_alphanumeric() || "_-/.%@:+".contains(c))
}
