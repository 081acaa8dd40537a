//! Where the SDKs for .NET look for profiles: the shared files, and their encrypted store, `RegisteredAccounts.json`, which Visual Studio and PowerShell write on Windows. Its
//! secrets are encrypted for one user on one machine; of them it is kept that they are there.
//!
//! Sources: `SharedCredentialsFile.cs`, `PersistenceManager.cs`, `SettingsConstants.cs`, `SettingsManager.cs` and `NetSDKCredentialsFile.cs` of aws-sdk-net
//! 3.7 and 4.0.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::ini::{Profile, Profiles};

use crate::sys;

/// Whether there can be a store: what encrypts it is a part of Windows.
const IS_HERE: bool = sys::HAS_SDK_STORE || cfg!(test);

/// One profile: what is no secret of it, and whether the secrets are there.
#[derive(Deserialize)]
struct Entry {
    #[serde(rename = "DisplayName")]
    name: Option<String>,
    #[serde(rename = "AWSAccessKey")]
    id: Option<IgnoredAny>,
    #[serde(rename = "AWSSecretKey")]
    secret: Option<IgnoredAny>,
    #[serde(rename = "SessionToken")]
    token: Option<IgnoredAny>,
    #[serde(rename = "ExternalId")]
    external_id: Option<IgnoredAny>,
    #[serde(rename = "MfaSerial")]
    mfa: Option<IgnoredAny>,
    #[serde(rename = "EndpointName")]
    saml: Option<IgnoredAny>,
    #[serde(rename = "RoleArn")]
    role: Option<String>,
    #[serde(rename = "RoleSessionName")]
    session_name: Option<String>,
    #[serde(rename = "SourceProfile")]
    source: Option<String>,
    #[serde(rename = "CredentialSource")]
    named_source: Option<String>,
    #[serde(rename = "WebIdentityTokenFile")]
    web_identity: Option<String>,
    credential_process: Option<String>,
    login_session: Option<String>,
    sso_account_id: Option<String>,
    sso_region: Option<String>,
    sso_role_name: Option<String>,
    sso_session: Option<String>,
    sso_start_url: Option<String>,
}

/// The file of the store below `LOCALAPPDATA`.
pub(super) fn path(local: &str) -> Option<PathBuf> {
    IS_HERE.then(|| Path::new(local).join("AWSToolkit").join("RegisteredAccounts.json"))
}

/// The configuration and the credentials that these SDKs share with the others. They know no user database and no `~`, take
/// the usual file where the one that is named is not there, and look for the configuration beside the credentials.
pub(super) fn shared(value: impl Fn(&str) -> Option<PathBuf>, is_there: impl Fn(&Path) -> bool) -> (PathBuf, PathBuf) {
    let home = value("HOME").or_else(|| value("USERPROFILE"));
    let usual = |name: &str| home.as_deref().map(|home| home.join(".aws").join(name)).unwrap_or_default();
    let named = |variable: &str| value(variable).filter(|path| is_there(path));
    let credentials = named("AWS_SHARED_CREDENTIALS_FILE").unwrap_or_else(|| usual("credentials"));
    let config = match value("AWS_CONFIG_FILE") {
        Some(_) => named("AWS_CONFIG_FILE").unwrap_or_else(|| usual("config")),
        None => credentials.parent().map(|folder| folder.join("config")).unwrap_or_default(),
    };
    (config, credentials)
}

/// Reads the store, `most` profiles of it, named in lower case, because the SDK does not tell them apart by that. What cannot
/// be read counts as empty, as it does for the SDK.
pub(super) fn read(bytes: &[u8], most: usize) -> Profiles {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let entries: BTreeMap<String, Entry> = serde_json::from_slice(bytes).unwrap_or_default();
    let mut read = Profiles::default();
    for entry in entries.into_values() {
        let Some(name) = entry.name.as_deref().map(str::to_ascii_lowercase) else { continue };
        if read.get(&name).is_none() {
            read.put_profile(&name, entry.profile(), most);
        }
    }
    read
}

impl Entry {
    /// The same in the words of the shared files.
    fn profile(&self) -> Profile {
        let mut profile = Profile::default();
        let there = [
            ("aws_access_key_id", &self.id),
            ("aws_secret_access_key", &self.secret),
            ("aws_session_token", &self.token),
            ("external_id", &self.external_id),
            ("mfa_serial", &self.mfa),
            ("endpoint_name", &self.saml),
        ];
        for (key, _) in there.into_iter().filter(|(_, value)| value.is_some()) {
            profile.put(key, "encrypted");
        }
        let open = [
            ("role_arn", &self.role),
            ("role_session_name", &self.session_name),
            ("source_profile", &self.source),
            ("credential_source", &self.named_source),
            ("web_identity_token_file", &self.web_identity),
            ("credential_process", &self.credential_process),
            ("login_session", &self.login_session),
            ("sso_account_id", &self.sso_account_id),
            ("sso_region", &self.sso_region),
            ("sso_role_name", &self.sso_role_name),
            ("sso_session", &self.sso_session),
            ("sso_start_url", &self.sso_start_url),
        ];
        for (key, value) in open {
            value.iter().for_each(|value| profile.put(key, value));
        }
        profile
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECRET: &str = "01000000D08C9DDF0115D1118C7A00C04FC297EB";

    #[test]
    fn a_profile_is_known_by_its_name_in_any_case_and_its_secrets_by_being_there() {
        let text = format!(
            r#"{{"6F1B": {{"DisplayName": "Default", "AWSAccessKey": "{SECRET}", "AWSSecretKey": "{SECRET}",
                 "ProfileType": "AWS", "AccountNumber": "{SECRET}"}},
                "7A2C": {{"DisplayName": "Federated", "RoleArn": "arn", "EndpointName": "adfs"}},
                "8B3D": {{"DisplayName": "role", "RoleArn": "arn", "SourceProfile": "Default", "ExternalId": "{SECRET}"}}}}"#
        );
        let read = read(format!("\u{feff}{text}").as_bytes(), usize::MAX);
        let default = read.get("default").unwrap();
        assert!(default.has("aws_access_key_id") && default.has("aws_secret_access_key") && !default.has("role_arn"));
        assert!(read.get("federated").unwrap().has("endpoint_name"));
        let role = read.get("role").unwrap();
        assert_eq!((role.value("source_profile"), role.value("external_id")), (Some("Default"), None));
        assert!(role.has("external_id"));
        assert!(!format!("{read:?}").contains(SECRET), "{read:?}");
    }

    #[test]
    fn what_is_no_store_is_empty_and_of_a_large_one_the_first_are_read() {
        for text in ["", "[]", "{\"a\": 1}", "{\"a\": {\"DisplayName\": 1}}"] {
            assert!(read(text.as_bytes(), usize::MAX).is_empty(), "{text}");
        }
        let entries: Vec<_> = (0..9).map(|n| format!("\"{n}\": {{\"DisplayName\": \"p{n}\"}}")).collect();
        let cut = read(format!("{{{}}}", entries.join(",")).as_bytes(), 4);
        assert!(cut.is_cut() && cut.iter().count() == 4);
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes: Vec<u8>) {
            read(&bytes, 4);
        }
    }
}
