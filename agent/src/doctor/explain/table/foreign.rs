//! What shows that an error is of somebody else: of its wordings only those count that are AWS's own.

use std::ops::Range;

use crate::doctor::explain::folded::Needle::{self, Code, Words};
use crate::doctor::explain::times::Page;

pub(in crate::doctor::explain) const MARKS: &[Needle] = &[
    // Azure.
    Words("managedidentitycredential"),
    Words("managed identity"),
    Words("managedidentity"),
    Words("azure.identity"),
    Words("azure instance metadata"),
    Words("defaultazurecredential"),
    Words("azurerm"),
    Words("microsoftonline"),
    Words("graph.microsoft.com"),
    Words("/metadata/identity/oauth2"),
    Words("/metadata/instance?api-version"),
    Words("aadsts"),
    Words("msal"),
    // Google.
    Words("metadata.google.internal"),
    Words("computemetadata"),
    Words("google.auth"),
    Words("googleapis"),
    Words("gcloud"),
    Words("google compute engine"),
    Words("gce metadata"),
    Words("compute engine metadata"),
    Words("defaultcredentialserror"),
    Words("metadata-flavor"),
    // Others with the same address.
    Words("openstack"),
    Words("/opc/v1"),
    Words("/opc/v2"),
    Words("oraclecloud"),
    Words("100.100.100.200"),
    Words("aliyun"),
    Words("hetzner"),
    Words("digitalocean metadata"),
    Words("/metadata/v1"),
    // Security of Hadoop and Elasticsearch.
    Words("org.apache.hadoop.security.token"),
    Words("hdfs_delegation_token"),
    Words("delegation token"),
    Words("secretmanager$invalidtoken"),
    Words("elasticsearchsecurityexception"),
    Words("org.elasticsearch"),
    Words("security_exception"),
    Words("x-pack"),
    Words("xpack"),
    Words("opensearch_security"),
    // Others.
    Words("password reset"),
    Words("reset your password"),
    Words("facebook"),
    Words("graphmethodexception"),
    Code("OAuthException"),
];

/// Names that show it only within the same error: elsewhere people speak of them for other reasons.
const NAMES: &[Needle] = &[Words("azure"), Words("microsoft"), Words("google")];

/// Whether an error names another cloud. The packages and frames of a stack do not: whoever uses a library of Google's may
/// speak with AWS.
pub(in crate::doctor::explain) fn is_named(page: &Page<'_>, error: &Range<usize>) -> bool {
    let is_frame = |line: usize| page.text.get(line..).is_some_and(|line| line.starts_with("at "));
    NAMES.iter().any(|name| {
        // Places come in their order: each piece of the text is looked at once.
        let (mut seen, mut is_in_frame) = (error.start, is_frame(error.start));
        page.folded.find(*name, error.clone()).any(|place| {
            let between = page.text.get(seen..place.start).unwrap_or_default();
            if let Some(end) = between.rfind('\n') {
                is_in_frame = is_frame(seen + end + 1);
            }
            seen = place.start;
            !is_in_frame && !is_of_a_package(page.text, &place)
        })
    })
}

/// `com.google.common` and `Microsoft.Extensions`, but not `accounts.google.com` and the end of a sentence.
fn is_of_a_package(text: &str, place: &Range<usize>) -> bool {
    let before = text.get(..place.start).unwrap_or_default();
    let behind = text.get(place.end..).unwrap_or_default();
    let is_name = |rest: &str| rest.starts_with(|c: char| c.is_ascii_alphanumeric());
    match behind.strip_prefix('.') {
        Some(rest) if rest.strip_prefix("com").is_some_and(|rest| !is_name(rest)) => false,
        Some(rest) if is_name(rest) => true,
        _ => before.ends_with('.'),
    }
}

/// Kinds that are ours by their wording alone, whoever else is named beside it.
pub(in crate::doctor::explain) const ANYBODYS: &[super::Kind] = &[
    super::Kind::CertificateNotYetValid,
    super::Kind::CertificateExpired,
    super::Kind::CertificateOutsideValidity,
    super::Kind::JwtNotYetValid,
    super::Kind::JwtExpired,
    super::Kind::KerberosSkew,
];
