//! What shows that an error is of somebody else: of its wordings only those count that are AWS's own.

use crate::doctor::explain::folded::Needle::{self, Code, Words};

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
pub(in crate::doctor::explain) const NAMES: &[Needle] = &[Words("azure"), Words("microsoft"), Words("google")];

/// Kinds that are ours by their wording alone, whoever else is named beside it.
pub(in crate::doctor::explain) const ANYBODYS: &[super::Kind] = &[
    super::Kind::CertificateNotYetValid,
    super::Kind::CertificateExpired,
    super::Kind::CertificateOutsideValidity,
    super::Kind::JwtNotYetValid,
    super::Kind::JwtExpired,
    super::Kind::KerberosSkew,
];
