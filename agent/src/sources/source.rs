//! One source, whatever its kind, and the checks that hold of all.

use std::time::Duration;

use super::{AnyKind, WrittenSource};
use crate::setting::fault::{Fault, plain_name, unique};
use crate::setting::locate::Path;
use crate::setting::period::Period;

/// How many sources are allowed. More witnesses than this tell no more, and each is asked by every host.
const MOST_SOURCES: usize = 32;

/// A witness of true time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// What people call it.
    pub name: String,
    /// Who is asked, and how.
    pub kind: AnyKind,
    /// Whether it wins a tie, because AWS judges by AWS's clock.
    pub trusted: bool,
    /// Whether it smears leap seconds.
    pub leap_smear: bool,
    /// The witness that it is a part of, if several sources are the same one.
    pub group: Option<String>,
    /// How often it is asked.
    pub poll: Duration,
}

impl Source {
    /// The same as it would be written, every default filled in.
    pub fn written(&self) -> WrittenSource {
        let own = WrittenSource {
            trusted: Some(self.trusted),
            leap_smear: Some(self.leap_smear),
            group: self.group.clone(),
            poll: Some(Period(self.poll)),
            ..WrittenSource::named(self.name.clone())
        };
        own.with(&self.kind)
    }
}

/// Amazon Time Sync alone: it is there on every instance of every VPC, and AWS judges by its clock. Public servers are not
/// among the defaults, because many subnets cannot reach them, and the agent would complain of that for ever.
fn usual() -> Vec<WrittenSource> {
    let time_sync = WrittenSource::named("amazon-time-sync".into());
    vec![WrittenSource { ntp: "169.254.169.123".to_owned().into(), ..time_sync }]
}

/// Checks all sources, or makes the usual ones where none is `given`, on a host that is an EC2 instance or not.
///
/// # Errors
/// What is wrong, where, and what is allowed.
pub fn check(given: Option<&[WrittenSource]>, is_ec2: bool) -> Result<Vec<Source>, Fault> {
    let at = Path::root("sources");
    let usual = given.is_none().then(usual);
    let given = given.or(usual.as_deref()).unwrap_or_default();
    if given.is_empty() {
        return Err(Fault::at(at, "there is no source: name at least one, or remove the key to use the default ones"));
    }
    if given.len() > MOST_SOURCES {
        let message = format!("{} sources are too many: at most {MOST_SOURCES} are allowed", given.len());
        return Err(Fault::at(at, message));
    }
    unique(&at, given.iter().map(|source| source.name.as_str()))?;
    let mut sources: Vec<Source> = Vec::new();
    for (index, given) in given.iter().enumerate() {
        let source = source(given, &at.index(index), is_ec2)?;
        let is_same =
            |other: &Source| (other.kind.key(), other.kind.identity()) == (source.kind.key(), source.kind.identity());
        if let Some(first) = sources.iter().position(is_same) {
            let message = source.kind.named_twice(&at.index(first));
            return Err(Fault::at(at.index(index).key(source.kind.key()), message));
        }
        sources.push(source);
    }
    Ok(sources)
}

fn source(given: &WrittenSource, at: &Path, is_ec2: bool) -> Result<Source, Fault> {
    let kind = given.kind(at)?;
    let poll = given.poll.map_or(kind.cadence().usual, |Period(poll)| poll);
    kind.check_poll(poll).map_err(|message| Fault::at(at.key("poll"), message))?;
    if let Some(group) = &given.group {
        plain_name(group).map_err(|message| Fault::at(at.key("group"), message.to_owned()))?;
    }
    Ok(Source {
        name: given.name.clone(),
        group: given.group.clone().or_else(|| kind.group().map(str::to_owned)),
        trusted: given.trusted.unwrap_or_else(|| kind.is_trusted(is_ec2)),
        leap_smear: given.leap_smear.unwrap_or_else(|| kind.smears_leaps()),
        kind,
        poll,
    })
}
