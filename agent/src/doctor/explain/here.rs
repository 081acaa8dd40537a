//! What an error most likely comes from on this host.

use super::host::{Holding, HostFacts};
use super::kind::Kind;
use super::symptom::Symptom;
use super::times::Times;
use crate::assess::lifetime::Lifetime;
use crate::assess::limit::Skew;
use crate::aws::sdk::Sdk;
use crate::credentials::Provider;
use crate::credentials::lease::Unavailable;
use crate::credentials::provide::Renewal;
use crate::time::{NANOS_PER_SECOND, Offset, Span, humane, humane_offset};

/// The documented window of a signature.
const SIGNATURE: Span = Span::from_nanos(300 * NANOS_PER_SECOND);
/// The window of S3 and STS, and of `RequestExpired`.
const LARGEST: Span = Span::from_nanos(900 * NANOS_PER_SECOND);
/// From this lag on SDKs that are in use everywhere keep credentials that have run out.
const KEPT_TOO_LONG: Span = Span::from_nanos(60 * NANOS_PER_SECOND);
/// A clock that lags by this is suspected of ending a URL that does not say how late it came.
const TELLING: Span = Span::from_nanos(60 * NANOS_PER_SECOND);
/// Why AWS does not know an access key that it knew once.
const NO_MORE: &str = "the key was deleted or deactivated";
/// Why AWS calculates another signature with an access key that it knows.
const ANOTHER_SECRET: &str = "the secret key is not the one of this access key";
const NOTHING_HIDDEN: &str = "nothing is known here that hides the role of the instance";

/// What this host has to do with an error.
pub(super) struct Here {
    /// Whether the cause is there now.
    pub(super) is_present: bool,
    /// What was found, as the end of a sentence.
    pub(super) text: String,
    /// What mends it, where this host tells better than the error does.
    pub(super) remedy: Option<String>,
}

impl Here {
    fn present(text: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { is_present: true, text: text.into(), remedy: Some(remedy.into()) }
    }

    fn absent(text: impl Into<String>) -> Self {
        Self { is_present: false, text: text.into(), remedy: None }
    }

    /// Judges an error by what is known of this host.
    pub(super) fn of(kind: Kind, sign: &Sign, times: &Times, host: &HostFacts) -> Self {
        match kind {
            Kind::RequestTimeTooSkewed | Kind::RequestInTheFuture => clock(sign, times, host, LARGEST),
            Kind::SignatureExpired | Kind::SignatureNotYetCurrent | Kind::PresignedNotYetValid => {
                clock(sign, times, host, SIGNATURE)
            }
            Kind::RequestExpired if sign.told.is_some() => clock(sign, times, host, LARGEST),
            Kind::PresignedExpired => presigned(times, host),
            Kind::RequestExpired => slow(host, LARGEST)
                .or_else(|| expired(host))
                .or_else(|| outlived(host))
                .unwrap_or_else(|| in_order(host)),
            Kind::AuthFailure => {
                past(host, SIGNATURE).or_else(|| shadowed(host, NO_MORE)).unwrap_or_else(|| in_order(host))
            }
            Kind::EksUnauthorized => past(host, SIGNATURE)
                .or_else(|| expired(host))
                .or_else(|| shadowed(host, NO_MORE))
                .unwrap_or_else(|| in_order(host)),
            Kind::ExpiredToken => {
                expired(host).or_else(|| outlived(host)).or_else(|| late(host)).unwrap_or_else(|| in_order(host))
            }
            Kind::StillExpired => fast(host).or_else(|| expired(host)).unwrap_or_else(|| in_order(host)),
            Kind::WebIdentityExpired | Kind::InvalidIdentityToken | Kind::AssumeRoleDenied => {
                of_provider(host, Provider::WebIdentity)
            }
            Kind::SsoExpired => of_provider(host, Provider::SsoCache),
            Kind::LoginExpired => of_provider(host, Provider::LoginCache),
            Kind::Container => proxied(host).unwrap_or_else(|| of_provider(host, Provider::Container)),
            Kind::Imds(symptom) => imds(host, symptom),
            Kind::NoCredentials => proxied(host).unwrap_or_else(|| of_provider(host, Provider::Imds)),
            Kind::SignatureMismatch => shadowed(host, ANOTHER_SECRET)
                .unwrap_or_else(|| Self::absent("nothing that was looked at on this host tells which")),
            Kind::InvalidClientTokenId | Kind::UnrecognizedClient | Kind::InvalidAccessKeyId => {
                shadowed(host, NO_MORE).unwrap_or_else(|| Self::absent(NOTHING_HIDDEN))
            }
            // Keys that never expire have no session token.
            Kind::InvalidToken => outlived(host).unwrap_or_else(|| Self::absent(NOTHING_HIDDEN)),
            Kind::CertificateNotYetValid | Kind::JwtNotYetValid => reader(host, times.offset().map(Offset::span), 1),
            Kind::CertificateExpired | Kind::JwtExpired => reader(host, times.overdue(), -1),
            Kind::KerberosSkew => past(host, SIGNATURE).unwrap_or_else(|| now(host)),
            Kind::SamlExpired | Kind::CognitoExpired | Kind::CertificateOutsideValidity | Kind::CloudWatchTime => {
                now(host)
            }
            Kind::EcrExpired
            | Kind::CodeArtifactExpired
            | Kind::IncompleteSignature
            | Kind::MissingAuthenticationToken
            | Kind::ServiceUnreachable
            | Kind::StsThrottled => Self::absent("nothing of this host was looked at for it"),
        }
    }
}

/// Which way the clock that signed was off by the text.
pub(super) struct Sign {
    /// How far, where it tells.
    pub(super) told: Option<Offset>,
    /// 1 slow, -1 fast, 0 where it tells neither.
    pub(super) direction: i32,
    /// By the time of the log the clock was right, and the request waited.
    pub(super) has_waited: bool,
    /// It tells how two clocks differ, and neither is known to be right.
    pub(super) is_between_hosts: bool,
}

/// The clock of this host is off by more than `limit` for certain.
fn past(host: &HostFacts, limit: Span) -> Option<Here> {
    let skew = host.skew.filter(|skew| skew.at_least() >= limit)?;
    Some(Here::present(
        format!("the system clock is {} now, past the limit of {} s", in_words(&skew), limit.seconds()),
        host.set_the_clock(),
    ))
}

/// The same, where the clock is slow.
fn slow(host: &HostFacts, limit: Span) -> Option<Here> {
    past(host, limit).filter(|_| host.skew.is_some_and(|skew| skew.offset.lag() > Span::ZERO))
}

/// What the message tells of the clock that signed, and what the clock here is like now: the same fault or another one.
fn clock(sign: &Sign, times: &Times, host: &HostFacts, usual: Span) -> Here {
    let limit = times.window.unwrap_or(usual);
    let then = sign.told.filter(|_| !sign.has_waited).map(|told| match told.lag() {
        _ if sign.is_between_hosts => format!("the two clocks differed by {}", humane(told.span())),
        // Some of it may be the time that the request waited.
        Span::ZERO => format!("the clock that signed was {}", humane_offset(told)),
        lag => format!("the time in the request was {} behind", humane(lag)),
    });
    let waited =
        sign.has_waited.then(|| "by the time of its log the clock was right and the request waited".to_owned());
    let then = waited.or(then);
    let with = |rest: String| match &then {
        Some(then) => format!("{then}; {rest}"),
        None => rest,
    };
    let Some(skew) = host.skew else {
        return Here::absent(with(
            "how far the clock here is off is not known: `skewguard check` measures it".to_owned(),
        ));
    };
    if let Some(here) = past(host, limit) {
        let is_slow = skew.offset.lag() > Span::ZERO;
        if sign.has_waited || sign.direction > 0 && !is_slow || sign.direction < 0 && is_slow {
            let text = with(format!("{}: that is another fault than this error's", here.text));
            return Here { is_present: false, text, remedy: here.remedy };
        }
        return Here { text: with(here.text), ..here };
    }
    let now = format!("the system clock here is {} now", in_words(&skew));
    Here::absent(with(match () {
        () if skew.at_most() >= limit => format!("{now}: whether it is off is not certain"),
        () if sign.has_waited => format!("{now}, within the limit of {} s", limit.seconds()),
        () if sign.is_between_hosts => {
            format!(
                "{now}, within the limit of {} s: it was set since then, or the other clock is off",
                limit.seconds()
            )
        }
        () if sign.direction < 0 => {
            format!("{now}, within the limit of {} s: it was set since then, or another host signed", limit.seconds())
        }
        () => format!(
            "{now}, within the limit of {} s: it was set since then, another host signed, or the request waited after it was \
             signed",
            limit.seconds()
        ),
    }))
}

/// A clock that reads certificates and tokens: off by as much as is `needed`, slow where `direction` is 1 and fast where it
/// is -1.
fn reader(host: &HostFacts, needed: Option<Span>, direction: i64) -> Here {
    let Some(skew) = host.skew else { return now(host) };
    let off = skew.offset.span().nanos().saturating_mul(direction);
    let needed = needed.map_or(TELLING, Span::abs);
    if off > skew.bound.span().nanos() && off >= needed.nanos() {
        return Here::present(
            format!("the system clock here is {} now, which is enough for it", in_words(&skew)),
            host.set_the_clock(),
        );
    }
    now(host)
}

/// What the clock here is like now.
fn now(host: &HostFacts) -> Here {
    Here::absent(match host.skew {
        Some(skew) => format!("the system clock here is {} now", in_words(&skew)),
        None => "how far the clock here is off is not known: `skewguard check` measures it".to_owned(),
    })
}

/// A URL that a slow host signs lives shorter by its lag: that is the cause where it came too late by less.
fn presigned(times: &Times, host: &HostFacts) -> Here {
    let Some(skew) = host.skew else {
        return Here::absent("whether the clock here is slow is not known: `skewguard check` measures it");
    };
    let overdue = times.overdue().filter(|overdue| *overdue > Span::ZERO);
    if skew.offset.lag() >= overdue.unwrap_or(TELLING) && skew.offset.lag() > skew.bound.span() {
        let text =
            format!("the system clock is {} now, and URLs that this host signs end earlier by that", in_words(&skew));
        return Here::present(text, host.set_the_clock());
    }
    Here::absent(match overdue {
        Some(overdue) => {
            format!("the system clock here is {} now, and the URL came {} too late", in_words(&skew), humane(overdue))
        }
        None => format!("the system clock here is {} now", in_words(&skew)),
    })
}

/// A slow clock with which SDKs keep credentials that have run out.
fn late(host: &HostFacts) -> Option<Here> {
    let skew = host.skew.filter(|skew| skew.offset.lag() > Span::ZERO && skew.at_least() >= KEPT_TOO_LONG)?;
    let lag = skew.offset.lag();
    let kept: Vec<String> = Sdk::current()
        .filter_map(|sdk| {
            let margin = Span::from_duration(sdk.refresh_margin());
            let over = Span::from_nanos(lag.nanos().saturating_sub(margin.nanos()));
            (over > Span::ZERO).then(|| format!("{} for {}", sdk.name(), humane(over)))
        })
        .collect();
    let text = format!(
        "the system clock is {} now, and with it SDKs keep credentials that have run out: {} of every lifetime",
        in_words(&skew),
        kept.join(", ")
    );
    Some(Here::present(text, host.set_the_clock()))
}

/// Credentials that have run out here, or that an SDK on this host refreshes too late.
fn expired(host: &HostFacts) -> Option<Here> {
    let lives = || host.holdings.iter().filter_map(|holding| Some((holding, holding.life.as_ref().ok()?)));
    let over = lives().find_map(|(holding, life)| {
        // Who uses it renews it first.
        let left = left(life).filter(|left| *left <= Span::ZERO && holding.provider.renewal() != Renewal::OnUse)?;
        Some(run_out(host, holding, life, left))
    });
    over.or_else(|| lives().find_map(|(holding, life)| refreshed_late(host, holding, life)))
}

fn run_out(host: &HostFacts, holding: &Holding, life: &Lifetime, left: Span) -> Here {
    let text = format!("{} ran out {} ago", holding.name(), humane(left));
    if life.remaining_local > Span::ZERO {
        let text = format!(
            "{text}, and by the slow clock of this host it lives for {} more: SDKs go on using it",
            humane(life.remaining_local)
        );
        return Here::present(text, host.set_the_clock());
    }
    Here::present(text, holding.provider.renew())
}

fn refreshed_late(host: &HostFacts, holding: &Holding, life: &Lifetime) -> Option<Here> {
    let (sdk, margin) =
        life.refresh_margins.iter().filter(|(_, margin)| *margin < Span::ZERO).min_by_key(|(_, m)| *m)?;
    let text = format!(
        "the system clock is so slow that {} uses {} for {} after it ran out, in every lifetime",
        sdk.name(),
        holding.name(),
        humane(*margin)
    );
    Some(Here::present(text, host.set_the_clock()))
}

/// By a fast clock credentials have run out that have not.
fn fast(host: &HostFacts) -> Option<Here> {
    host.holdings.iter().find_map(|holding| {
        let life = holding.life.as_ref().ok()?;
        let remaining = life.remaining.filter(|left| *left > Span::ZERO && life.remaining_local <= Span::ZERO)?;
        let text = format!(
            "the system clock is so fast that {} has run out by it, although it lives for {} more",
            holding.name(),
            humane(remaining)
        );
        Some(Here::present(text, host.set_the_clock()))
    })
}

/// Keys that an SDK signs with and nobody renews. Of those that never expire, `suspicion` is what is most likely wrong.
fn shadowed(host: &HostFacts, suspicion: &str) -> Option<Here> {
    let shadow = host.shadow.as_ref()?;
    let text = if host.is_shadow_lasting { format!("{shadow}: most likely {suspicion}") } else { shadow.clone() };
    Some(Here { is_present: true, text, remedy: host.shadow_remedy.clone() })
}

/// Keys that an SDK signs with and nobody renews, where they can run out.
fn outlived(host: &HostFacts) -> Option<Here> {
    let shadow = host.shadow.as_ref().filter(|_| !host.is_shadow_lasting)?;
    Some(Here { is_present: true, text: shadow.clone(), remedy: host.shadow_remedy.clone() })
}

/// Requests for the metadata service that go to a proxy.
fn proxied(host: &HostFacts) -> Option<Here> {
    let proxy = host.proxy.as_ref()?;
    Some(Here::present(
        proxy.as_str(),
        "export NO_PROXY=169.254.169.254,169.254.170.2,169.254.170.23,[fd00:ec2::254],[fd00:ec2::23] where the proxy is set, \
         and restart the process",
    ))
}

fn imds(host: &HostFacts, symptom: Symptom) -> Here {
    let unreached = matches!(symptom, Symptom::Refused | Symptom::Timeout | Symptom::Forbidden | Symptom::Unclear);
    if let Some(here) = proxied(host).filter(|_| unreached || symptom == Symptom::Unauthorized) {
        return here;
    }
    let here = of_provider(host, Provider::Imds);
    if here.is_present {
        return here;
    }
    let is_well = host.holding(Provider::Imds).is_some_and(|holding| holding.life.is_ok());
    let text = match symptom {
        Symptom::Timeout if is_well => {
            format!("{}: a container behind another hop would time out all the same", here.text)
        }
        _ => here.text,
    };
    let own_words = matches!(symptom, Symptom::Unauthorized | Symptom::Throttled);
    let remedy = symptom.unavailable().filter(|_| !own_words).map(|reason| reason.remedy(Provider::Imds).to_owned());
    Here { text, remedy, ..here }
}

/// What was read of a provider on this host.
fn of_provider(host: &HostFacts, provider: Provider) -> Here {
    let Some(holding) = host.holding(provider) else {
        return Here::absent(format!("nothing of {} was read on this host", provider.name()));
    };
    match &holding.life {
        // A provider that keeps static keys, or that was never set up, is no fault.
        Err(reason @ (Unavailable::MissingExpiration | Unavailable::NotFound)) => {
            Here::absent(format!("{} on this host: {reason}", provider.name()))
        }
        Err(reason) => Here::present(
            format!("{} gives nothing on this host now: {reason}", provider.name()),
            reason.remedy(provider),
        ),
        Ok(life) => match left(life) {
            Some(left) if left <= Span::ZERO => run_out(host, holding, life, left),
            Some(left) => Here::absent(format!("{} lives for {} more on this host now", holding.name(), humane(left))),
            None => Here::absent(format!("{} can be read on this host now", holding.name())),
        },
    }
}

fn in_order(host: &HostFacts) -> Here {
    let lives = || host.holdings.iter().filter(|holding| holding.life.is_ok());
    let clock = host.skew.map_or_else(String::new, |skew| format!(", and the system clock is {}", in_words(&skew)));
    match lives().count() {
        0 => Here::absent(format!("no credentials are known on this host{clock}")),
        _ => {
            let names: Vec<String> = lives().map(Holding::name).collect();
            Here::absent(format!("now nothing has run out here ({}){clock}", names.join(", ")))
        }
    }
}

/// What is left in true time, or else as this host believes.
fn left(life: &Lifetime) -> Option<Span> {
    life.remaining.or(Some(life.remaining_local))
}

fn in_words(skew: &Skew) -> String {
    format!("{} (± {})", humane_offset(skew.offset), humane(skew.bound.span()))
}
