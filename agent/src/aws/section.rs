//! What a section of the shared files is about, by its name and the grammar of an SDK.

use std::borrow::Cow;

use super::grammar::{Naming, is_identifier};
use super::ini::Dialect;

/// The profile that is used where nobody asks for another.
pub(super) const DEFAULT: &str = "default";
const PROFILE: &str = "profile";
const SESSION: &str = "sso-session";
const BLANKS: [char; 2] = [' ', '\t'];

/// What the lines after a header belong to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Section<'a> {
    /// A profile.
    Profile(Cow<'a, str>),
    /// `[profile default]`.
    PrefixedDefault,
    /// `[profile NAME]`, which counts where there is no `[NAME]`.
    Spare(Cow<'a, str>),
    /// A session of IAM Identity Center.
    SsoSession(Cow<'a, str>),
    /// One that is read and means nothing here.
    Other,
    /// One that is skipped with all that is below it.
    Ignored,
    /// None yet.
    None,
}

impl<'a> Section<'a> {
    /// What the section of this name is.
    pub(super) fn named(naming: Naming, dialect: Dialect, header: &'a str) -> Self {
        let is_config = dialect == Dialect::Config;
        match naming {
            Naming::Shell if !is_config => Self::Profile(header.into()),
            Naming::Shell => shell(header),
            Naming::Anything => {
                let name = header.strip_prefix("profile ").filter(|_| is_config).unwrap_or(header);
                Self::Profile(name.into())
            }
            Naming::Identifier => identifier(header, is_config).unwrap_or(Self::Ignored),
            Naming::StrictIdentifier => identifier(header, is_config).unwrap_or(Self::Other),
            Naming::TypeAndName => typed(header, is_config),
            Naming::OneBlank => one_blank(header, is_config),
            Naming::Marked => marked(header, is_config),
            Naming::Reference => reference(header, is_config),
        }
    }

    fn profile(name: &'a str) -> Self {
        if name == DEFAULT { Self::PrefixedDefault } else { Self::Profile(name.into()) }
    }
}

/// Two words of a shell, of which the first begins with what it is.
fn shell(header: &str) -> Section<'_> {
    if header == DEFAULT {
        return Section::Profile(header.into());
    }
    let words = words(header).unwrap_or_default();
    let [_, name] = words.as_slice() else { return Section::Other };
    let name = Cow::Owned(name.clone());
    match () {
        () if header.starts_with(PROFILE) && name == DEFAULT => Section::PrefixedDefault,
        () if header.starts_with(PROFILE) => Section::Profile(name),
        () if header.starts_with(SESSION) => Section::SsoSession(name),
        () => Section::Other,
    }
}

/// The words of a text as in a shell; `None` where a quote is not closed.
fn words(text: &str) -> Option<Vec<String>> {
    let (mut words, mut word, mut quote) = (Vec::new(), None::<String>, None);
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (Some('"') | None, '\\') => word.get_or_insert_default().push(rest.next()?),
            (None, '"' | '\'') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (None, ' ' | '\t' | '\r' | '\n') => words.extend(word.take()),
            (_, c) => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    quote.is_none().then_some(words)
}

/// A name in letters, digits and some signs, behind `profile` in the configuration.
fn identifier(header: &str, is_config: bool) -> Option<Section<'_>> {
    if !is_config {
        return is_identifier(header).then(|| Section::Profile(header.into()));
    }
    let Some((kind, name)) = header.split_once(BLANKS) else {
        return (header == DEFAULT).then(|| Section::Profile(header.into()));
    };
    let name = name.trim();
    match kind {
        _ if !is_identifier(name) => None,
        PROFILE => Some(Section::profile(name)),
        SESSION => Some(Section::SsoSession(name.into())),
        _ => Some(Section::Other),
    }
}

fn typed(header: &str, is_config: bool) -> Section<'_> {
    let typed = header.split_once(BLANKS).map(|(kind, name)| (kind, name.trim_start_matches(BLANKS)));
    match typed {
        _ if header.is_empty() => Section::None,
        Some((PROFILE, name)) if is_config => Section::profile(name),
        Some((SESSION, name)) if is_config => Section::SsoSession(name.into()),
        None if is_config && header == DEFAULT => Section::Profile(header.into()),
        _ if is_config => Section::Other,
        Some((PROFILE | SESSION, _)) => Section::Other,
        Some((kind, name)) => Section::Profile(format!("{kind} {name}").into()),
        None => Section::Profile(header.into()),
    }
}

fn one_blank(header: &str, is_config: bool) -> Section<'_> {
    let is_word = |text: &str| !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || "_-".contains(c));
    let is_name = |text: &str| !text.is_empty() && is_identifier(text);
    let quoted = |name: &'_ str| {
        let within = |quote| name.strip_prefix(quote)?.strip_suffix(quote);
        within('"').or_else(|| within('\'')).map(str::len)
    };
    let typed = header.split_once(char::is_whitespace).filter(|(kind, _)| is_word(kind)).and_then(|(kind, name)| {
        let bare = quoted(name).and_then(|length| name.get(1..=length)).unwrap_or(name);
        is_name(bare).then_some((kind, bare))
    });
    match typed {
        Some((PROFILE, name)) if is_config => Section::profile(name),
        Some((SESSION, name)) if is_config => Section::SsoSession(name.into()),
        Some(_) => Section::Other,
        None if is_config && header != DEFAULT => Section::Other,
        None => Section::Profile(header.into()),
    }
}

/// In the configuration `default` alone needs no mark. A session is one in both files.
fn marked(header: &str, is_config: bool) -> Section<'_> {
    let typed = header.split_once(BLANKS).map(|(kind, name)| (kind, name.trim_start_matches(BLANKS)));
    match typed {
        Some((PROFILE, name)) => Section::Spare(name.into()),
        Some((SESSION, name)) => Section::SsoSession(name.into()),
        _ if is_config && header != DEFAULT => Section::Other,
        _ => Section::Profile(header.into()),
    }
}

fn reference(header: &str, is_config: bool) -> Section<'_> {
    let (kind, name) = match header.split_once(BLANKS) {
        Some((kind, name)) => (Some(kind), unquoted(name.trim_matches(BLANKS))),
        None => (None, header),
    };
    match kind {
        _ if header.is_empty() => Section::None,
        Some(PROFILE) if is_config => Section::profile(name),
        Some(SESSION) if is_config => Section::SsoSession(name.into()),
        None if !is_config || name == DEFAULT => Section::Profile(name.into()),
        _ => Section::Other,
    }
}

/// A name that holds blanks is written in quotes.
fn unquoted(name: &str) -> &str {
    let within = |quote| name.strip_prefix(quote)?.strip_suffix(quote);
    within('"').or_else(|| within('\'')).unwrap_or(name)
}
