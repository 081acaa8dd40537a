//! The system properties of a Java machine: about AWS and proxies, without any secret.

use std::collections::{BTreeMap, BTreeSet};

use super::text::printable;

/// Properties whose values are kept.
const KEPT: [&str; 11] = [
    "aws.configFile",
    "aws.disableEc2Metadata",
    "aws.ec2MetadataServiceEndpoint",
    "aws.profile",
    "aws.region",
    "aws.roleArn",
    "aws.sharedCredentialsFile",
    "aws.webIdentityTokenFile",
    "com.amazonaws.sdk.disableEc2Metadata",
    "com.amazonaws.sdk.ec2MetadataServiceEndpointOverride",
    HOME,
];
/// Properties of which it is kept that they are set, and not empty.
const WITHHELD: [&str; 7] = [
    "aws.accessKeyId",
    "aws.secretAccessKey",
    "aws.secretKey",
    "aws.sessionToken",
    "http.nonProxyHosts",
    "http.proxyHost",
    "https.proxyHost",
];
/// Where version 1 of the SDK looks for its files. It says nothing of AWS by itself.
const HOME: &str = "user.home";
/// Options of `java` whose value is the next argument.
const WITH_VALUE: [&str; 13] = [
    "-cp",
    "-classpath",
    "--class-path",
    "-p",
    "--module-path",
    "--upgrade-module-path",
    "--add-modules",
    "--limit-modules",
    "--add-reads",
    "--add-exports",
    "--add-opens",
    "--patch-module",
    "--source",
];
/// The variables by which a machine is given options, in the order in which it takes them: those of its command line come
/// before the last.
pub const VARIABLES: [&str; 3] = ["JAVA_TOOL_OPTIONS", "JDK_JAVA_OPTIONS", "_JAVA_OPTIONS"];

/// Some system properties. What is set to nothing is not set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Properties {
    kept: BTreeMap<&'static str, String>,
    withheld: BTreeSet<&'static str>,
    /// What is set to nothing undoes what was before.
    undone: BTreeSet<&'static str>,
    /// The variables that set them; the others are set on the command line.
    givers: BTreeMap<&'static str, &'static str>,
}

impl Properties {
    /// Those that a variable sets, in which quotes hold together what has blanks.
    pub fn of_variable(text: &str) -> Self {
        let mut quote = None;
        let words = text.split(|c: char| {
            match quote {
                Some(open) if c == open => quote = None,
                None if c == '"' || c == '\'' => quote = Some(c),
                Some(_) | None => {}
            }
            quote.is_none() && c.is_whitespace()
        });
        Self::of(words.map(|word| word.replace(['"', '\''], "")))
    }

    /// Those that the options on a command line set. What follows the class or the archive is the program's own.
    pub fn of_command_line(arguments: &[&str]) -> Self {
        Self::of(options(arguments).into_iter().map(str::to_owned))
    }

    /// Those that some variables set, for a machine without options of its own.
    pub fn of_variables(variable: impl Fn(&str) -> Option<String>) -> Self {
        let set = VARIABLES.iter().filter_map(|name| Some((*name, variable(name)?)));
        set.fold(Self::default(), |before, (name, text)| before.then(&Self::of_variable(&text).given_by(name)))
    }

    fn of(options: impl Iterator<Item = String>) -> Self {
        let mut own = Self::default();
        for option in options {
            let Some(property) = option.strip_prefix("-D") else { continue };
            let (name, value) = property.split_once('=').unwrap_or((property, ""));
            let known = |names: &[&'static str]| names.iter().copied().find(|known| *known == name);
            let (kept, withheld) = (known(&KEPT), known(&WITHHELD));
            let Some(name) = kept.or(withheld) else { continue };
            own.forget(name);
            match kept {
                _ if value.trim().is_empty() => drop(own.undone.insert(name)),
                Some(name) => drop(own.kept.insert(name, printable(without_user(value)))),
                None => drop(own.withheld.insert(name)),
            }
        }
        own
    }

    /// The same, known to be set by a variable.
    #[must_use]
    pub fn given_by(mut self, variable: &'static str) -> Self {
        let names = self.kept.keys().chain(&self.withheld);
        self.givers = names.map(|name| (*name, variable)).collect();
        self
    }

    /// The variable that sets a property; `None` where it is set on the command line, or not at all.
    pub fn giver(&self, name: &str) -> Option<&'static str> {
        self.givers.get(name).copied()
    }

    fn forget(&mut self, name: &'static str) {
        self.givers.remove(name);
        self.kept.remove(name);
        self.withheld.remove(name);
        self.undone.remove(name);
    }

    /// These, and then others, which win.
    #[must_use]
    pub fn then(mut self, later: &Self) -> Self {
        for name in later.kept.keys().chain(&later.withheld).chain(&later.undone) {
            self.forget(name);
        }
        self.kept.extend(later.kept.iter().map(|(name, value)| (*name, value.clone())));
        self.withheld.extend(&later.withheld);
        self.undone.extend(&later.undone);
        self.givers.extend(&later.givers);
        self
    }

    /// Whether a property is set.
    pub fn has(&self, name: &str) -> bool {
        self.withheld.contains(name) || self.kept.contains_key(name)
    }

    /// The value of a property; `None` where it is not set, or is a secret.
    pub fn value(&self, name: &str) -> Option<&str> {
        self.kept.get(name).map(String::as_str)
    }

    /// Whether none is about AWS or a proxy.
    pub fn is_empty(&self) -> bool {
        self.withheld.is_empty() && self.kept.keys().all(|name| *name == HOME)
    }

    /// Their names.
    pub fn names(&self) -> BTreeSet<&'static str> {
        self.kept.keys().chain(&self.withheld).copied().collect()
    }
}

/// The options of a command line that are those of the machine.
fn options<'a>(arguments: &[&'a str]) -> Vec<&'a str> {
    let mut own = Vec::new();
    let mut rest = arguments.iter().skip(1).copied();
    while let Some(argument) = rest.next() {
        match argument {
            "-jar" | "-m" | "--module" => break,
            _ if WITH_VALUE.contains(&argument) => drop(rest.next()),
            _ if argument.starts_with('-') => own.push(argument),
            // More options stand in such a file.
            _ if argument.starts_with('@') => {}
            _ => break,
        }
    }
    own
}

/// A URL that names a user may name a password: then nothing of it is kept.
fn without_user(value: &str) -> &str {
    if value.contains("://") && value.contains('@') { "withheld" } else { value }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_of_properties_holds_no_secret() {
        let line = ["java", "-Daws.accessKeyId=AKIAEXAMPLE", "-Daws.secretKey", "-Ddb.password=x", "-DAKIAEXAMPLE"];
        let own = Properties::of_command_line(&line);
        assert_eq!(own.names(), BTreeSet::from(["aws.accessKeyId"]), "a property without a value is empty");
        let url = Properties::of_variable("-Daws.ec2MetadataServiceEndpoint=http://u:hunter2@h/ -Daws.profile=a");
        assert_eq!(url.value("aws.profile"), Some("a"));
        assert!(!format!("{own:?} {url:?}").contains("AKIAEXAMPLE"));
        assert!(!format!("{url:?}").contains("hunter2"), "{url:?}");
    }

    #[test]
    fn what_follows_the_class_is_the_programs_own() {
        for (line, profile) in [
            (vec!["java", "-cp", "-Daws.profile=x", "-Daws.profile=a", "Main", "-Daws.profile=b"], Some("a")),
            (vec!["java", "-jar", "app.jar", "-Daws.profile=b"], None),
            (vec!["java", "-Daws.profile=a", "-Daws.profile=b", "-m", "c"], Some("b")),
            (vec!["java", "-Daws.profile=a", "-Daws.profile=", "Main"], None),
        ] {
            assert_eq!(Properties::of_command_line(&line).value("aws.profile"), profile, "{line:?}");
        }
    }

    #[test]
    fn each_way_of_giving_options_has_its_turn() {
        let of = |tool: &str, jdk: &str, last: &str| {
            let set = |name: &str| {
                let at = VARIABLES.iter().position(|known| *known == name)?;
                Some([tool, jdk, last][at].to_owned())
            };
            Properties::of_variables(set).value("aws.profile").map(str::to_owned)
        };
        let set = |name: &str| format!("-Xmx1g \"-Daws.profile={name}\"");
        assert_eq!(of(&set("a b"), "", "").as_deref(), Some("a b"));
        assert_eq!(of(&set("a"), &set("b"), "").as_deref(), Some("b"));
        assert_eq!(of(&set("a"), &set("b"), "-Daws.profile=").as_deref(), None);
    }
}
