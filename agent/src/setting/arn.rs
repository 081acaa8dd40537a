//! The ARN of a topic or of an event bus, and where its service is.

/// The partitions: the name, what their regions begin with, and the domain of their services. The regions of the first
/// begin with none of the others'.
const PARTITIONS: [(&str, &str, &str); 8] = [
    ("aws", "", "amazonaws.com"),
    ("aws-cn", "cn-", "amazonaws.com.cn"),
    ("aws-us-gov", "us-gov-", "amazonaws.com"),
    ("aws-eusc", "eusc-", "amazonaws.eu"),
    ("aws-iso", "us-iso-", "c2s.ic.gov"),
    ("aws-iso-b", "us-isob-", "sc2s.sgov.gov"),
    ("aws-iso-e", "eu-isoe-", "cloud.adc-e.uk"),
    ("aws-iso-f", "us-isof-", "csp.hci.ic.gov"),
];

/// The longest name of a topic or of a bus.
const LONGEST_NAME: usize = 256;

/// The service that an ARN is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Service {
    /// Amazon SNS, and a topic of it.
    Sns,
    /// Amazon EventBridge, and an event bus of it.
    Events,
}

/// What an ARN says of its service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// The region, such as `eu-west-1`.
    pub(crate) region: String,
    /// The URL of the service there.
    pub(crate) endpoint: String,
}

/// The text is not the ARN that is wanted. Nothing of the text is repeated: it may be a secret in the wrong place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ArnError {
    /// Not six parts that begin with `arn`.
    #[error("this is not an ARN: write all of it, such as {}", .0.example())]
    Malformed(Service),
    /// A partition that does not exist.
    #[error(
        "the second part of an ARN is a partition of AWS: aws, aws-cn, aws-us-gov, aws-eusc, aws-iso, aws-iso-b, \
         aws-iso-e or aws-iso-f"
    )]
    Partition,
    /// Something of another service.
    #[error("this ARN is not of {}: write one such as {}", .0.thing(), .0.example())]
    Service(Service),
    /// A region that cannot exist.
    #[error("the fourth part of an ARN is a region, such as eu-west-1")]
    Region,
    /// A region of another partition.
    #[error("the region of this ARN is in the partition {0}: correct its second or its fourth part")]
    Elsewhere(&'static str),
    /// No account.
    #[error("the fifth part of an ARN is an account, a number of 12 digits")]
    Account,
    /// No topic.
    #[error(
        "the ARN of a topic ends with its name: 1 to 256 letters, digits, hyphens and underscores, and .fifo where it is a \
         FIFO topic"
    )]
    Topic,
    /// A subscription, which is below a topic.
    #[error("this is the ARN of a subscription: remove its last part, and it is the one of the topic")]
    Subscription,
    /// No bus.
    #[error("the ARN of an event bus ends with event-bus/ and its name, such as event-bus/default")]
    Bus,
}

impl Service {
    const fn name(self) -> &'static str {
        match self {
            Self::Sns => "sns",
            Self::Events => "events",
        }
    }

    const fn thing(self) -> &'static str {
        match self {
            Self::Sns => "an SNS topic",
            Self::Events => "an event bus",
        }
    }

    const fn example(self) -> &'static str {
        match self {
            Self::Sns => "arn:aws:sns:eu-west-1:123456789012:alerts",
            Self::Events => "arn:aws:events:eu-west-1:123456789012:event-bus/default",
        }
    }
}

/// Where `service` is by the ARN of something of it.
///
/// # Errors
/// Where the text is no ARN, or one of something else.
pub(crate) fn place(text: &str, service: Service) -> Result<Place, ArnError> {
    let mut parts = text.splitn(6, ':');
    let mut part = || parts.next().ok_or(ArnError::Malformed(service));
    let (arn, partition, of, region, account, resource) = (part()?, part()?, part()?, part()?, part()?, part()?);
    if arn != "arn" {
        return Err(ArnError::Malformed(service));
    }
    let Some((partition, _, domain)) = PARTITIONS.iter().find(|(name, ..)| *name == partition) else {
        return Err(ArnError::Partition);
    };
    if of != service.name() {
        return Err(ArnError::Service(service));
    }
    if !is_region(region) {
        return Err(ArnError::Region);
    }
    // The first matches every region, so it is asked last.
    let home = PARTITIONS.iter().rev().find(|(_, start, _)| region.starts_with(start)).map(|(name, ..)| *name);
    if let Some(home) = home.filter(|home| home != partition) {
        return Err(ArnError::Elsewhere(home));
    }
    if account.len() != 12 || !account.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(ArnError::Account);
    }
    match service {
        Service::Sns => topic(resource)?,
        Service::Events => bus(resource)?,
    }
    Ok(Place { region: region.to_owned(), endpoint: format!("https://{}.{region}.{domain}", service.name()) })
}

/// The domain of AWS's services in `region`, such as `amazonaws.com`; `None` for what is no region.
pub(crate) fn domain(region: &str) -> Option<&'static str> {
    // The first matches every region, so it is asked last.
    let home = || PARTITIONS.iter().rev().find(|(_, start, _)| region.starts_with(start));
    is_region(region).then(home).flatten().map(|(.., domain)| *domain)
}

/// Whether the text is written as an ARN is, be it right or not: then it is no secret in the wrong place.
pub(crate) fn is_arn(text: &str) -> bool {
    text.starts_with("arn:") && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b":/._-".contains(&byte))
}

/// Words with hyphens between them, of which the last is a number: `eu-west-1`, `us-gov-west-1`.
fn is_region(text: &str) -> bool {
    let words: Vec<&str> = text.split('-').collect();
    let Some((number, names)) = words.split_last() else { return false };
    let is_name = |word: &&str| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_lowercase());
    let is_number = (1..=2).contains(&number.len()) && number.bytes().all(|byte| byte.is_ascii_digit());
    text.len() <= 32 && names.len() >= 2 && names.iter().all(is_name) && is_number
}

fn topic(resource: &str) -> Result<(), ArnError> {
    if let Some((name, subscription)) = resource.split_once(':') {
        let is_subscription = topic(name).is_ok() && !subscription.contains(':');
        return Err(if is_subscription { ArnError::Subscription } else { ArnError::Topic });
    }
    let name = resource.strip_suffix(".fifo").unwrap_or(resource);
    let is_plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
    if name.is_empty() || !is_plain || resource.len() > LONGEST_NAME { Err(ArnError::Topic) } else { Ok(()) }
}

fn bus(resource: &str) -> Result<(), ArnError> {
    let name = resource.strip_prefix("event-bus/").ok_or(ArnError::Bus)?;
    let is_plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_./".contains(&byte));
    if name.is_empty() || !is_plain || name.len() > LONGEST_NAME { Err(ArnError::Bus) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_service_of_an_arn_is_in_its_region_and_partition() {
        use Service::{Events, Sns};
        for (arn, service, region, endpoint) in [
            (Sns.example(), Sns, "eu-west-1", "https://sns.eu-west-1.amazonaws.com"),
            (
                "arn:aws-cn:sns:cn-north-1:123456789012:a.fifo",
                Sns,
                "cn-north-1",
                "https://sns.cn-north-1.amazonaws.com.cn",
            ),
            (
                "arn:aws-us-gov:sns:us-gov-west-1:000000000000:A_b-1",
                Sns,
                "us-gov-west-1",
                "https://sns.us-gov-west-1.amazonaws.com",
            ),
            (Events.example(), Events, "eu-west-1", "https://events.eu-west-1.amazonaws.com"),
            (
                "arn:aws-cn:events:cn-northwest-1:123456789012:event-bus/ops.alerts/x",
                Events,
                "cn-northwest-1",
                "https://events.cn-northwest-1.amazonaws.com.cn",
            ),
            (
                "arn:aws-iso-b:events:us-isob-east-1:123456789012:event-bus/a",
                Events,
                "us-isob-east-1",
                "https://events.us-isob-east-1.sc2s.sgov.gov",
            ),
        ] {
            assert_eq!(place(arn, service), Ok(Place { region: region.into(), endpoint: endpoint.into() }), "{arn}");
        }
    }

    #[test]
    fn what_is_not_the_wanted_arn_is_told_why() {
        use Service::{Events, Sns};
        for (arn, service, error) in [
            ("", Sns, ArnError::Malformed(Sns)),
            ("alerts", Sns, ArnError::Malformed(Sns)),
            ("default", Events, ArnError::Malformed(Events)),
            ("arn:aws:sns:eu-west-1:123456789012", Sns, ArnError::Malformed(Sns)),
            ("ARN:aws:sns:eu-west-1:123456789012:a", Sns, ArnError::Malformed(Sns)),
            ("arn:amazon:sns:eu-west-1:123456789012:a", Sns, ArnError::Partition),
            ("arn::sns:eu-west-1:123456789012:a", Sns, ArnError::Partition),
            (Events.example(), Sns, ArnError::Service(Sns)),
            (Sns.example(), Events, ArnError::Service(Events)),
            ("arn:aws:sqs:eu-west-1:123456789012:a", Sns, ArnError::Service(Sns)),
            ("arn:aws:sns::123456789012:a", Sns, ArnError::Region),
            ("arn:aws:sns:eu-west-1a:123456789012:a", Sns, ArnError::Region),
            ("arn:aws:sns:west-1:123456789012:a", Sns, ArnError::Region),
            ("arn:aws:sns:eu-west.evil-1:123456789012:a", Sns, ArnError::Region),
            ("arn:aws:sns:cn-north-1:123456789012:a", Sns, ArnError::Elsewhere("aws-cn")),
            ("arn:aws-cn:sns:eu-west-1:123456789012:a", Sns, ArnError::Elsewhere("aws")),
            ("arn:aws:sns:us-gov-west-1:123456789012:a", Sns, ArnError::Elsewhere("aws-us-gov")),
            ("arn:aws:sns:eu-west-1:12345678901:a", Sns, ArnError::Account),
            ("arn:aws:sns:eu-west-1:1234-5678-90:a", Sns, ArnError::Account),
            ("arn:aws:sns:eu-west-1:123456789012:", Sns, ArnError::Topic),
            ("arn:aws:sns:eu-west-1:123456789012:.fifo", Sns, ArnError::Topic),
            ("arn:aws:sns:eu-west-1:123456789012:a.b", Sns, ArnError::Topic),
            ("arn:aws:sns:eu-west-1:123456789012:a:6b0e71bd-7e97-4d97-80ce-4a0994e55286", Sns, ArnError::Subscription),
            ("arn:aws:sns:eu-west-1:123456789012:a:b:c", Sns, ArnError::Topic),
            ("arn:aws:events:eu-west-1:123456789012:default", Events, ArnError::Bus),
            ("arn:aws:events:eu-west-1:123456789012:rule/a", Events, ArnError::Bus),
            ("arn:aws:events:eu-west-1:123456789012:event-bus/", Events, ArnError::Bus),
            ("arn:aws:events:eu-west-1:123456789012:event-bus/a b", Events, ArnError::Bus),
        ] {
            assert_eq!(place(arn, service), Err(error), "{arn}");
        }
        let long = |length| format!("arn:aws:sns:eu-west-1:123456789012:{}", "a".repeat(length));
        assert!(place(&long(256), Sns).is_ok());
        assert_eq!(place(&long(257), Sns), Err(ArnError::Topic));
    }

    proptest! {
        #[test]
        fn a_well_formed_arn_is_accepted_and_leads_to_its_partition(
            partition in 0..PARTITIONS.len(),
            middle in "[a-z]{1,9}(-[a-z]{2,9})?",
            number in 1..100_u8,
            account in "[0-9]{12}",
            name in "[A-Za-z0-9_-]{1,64}(\\.fifo)?",
        ) {
            let (partition, start, domain) = PARTITIONS[partition];
            let start = if start.is_empty() { "eu-" } else { start };
            let region = format!("{start}{middle}-{number}");
            // The word after `eu-` or `us-` could be another partition's.
            prop_assume!(!middle.starts_with("iso") && !middle.starts_with("gov"));
            for (service, name, resource) in
                [(Service::Sns, "sns", name.clone()), (Service::Events, "events", format!("event-bus/{name}"))]
            {
                let found = place(&format!("arn:{partition}:{name}:{region}:{account}:{resource}"), service);
                let endpoint = format!("https://{name}.{region}.{domain}");
                prop_assert_eq!(found, Ok(Place { region: region.clone(), endpoint }));
            }
        }

        #[test]
        fn what_is_accepted_makes_a_url_of_its_own_host(text in "(arn:aws(-cn)?:(sns|events):[-a-z0-9./@#?]{1,14}:[0-9]{11,13}:.{0,9})|.*") {
            for service in [Service::Sns, Service::Events] {
                if let Ok(Place { region, endpoint }) = place(&text, service) {
                    let url = reqwest::Url::parse(&endpoint).unwrap();
                    let host = format!("{}.{region}.", service.name());
                    prop_assert!(url.host_str().unwrap().starts_with(&host) && url.path() == "/", "{}", endpoint);
                }
            }
        }

        #[test]
        fn no_error_repeats_what_was_written(secret in "[b-z0-9]{9,20}") {
            for text in [secret.clone(), format!("arn:{secret}:sns:a:b:c"), format!("arn:aws:sns:{secret}:b:c"),
                         format!("arn:aws:{secret}:a:b:c"), format!("arn:aws:sns:eu-west-1:123456789012:{secret}!")] {
                let error = place(&text, Service::Sns).unwrap_err().to_string();
                prop_assert!(!error.contains(&secret), "{}", error);
            }
        }
    }
}
