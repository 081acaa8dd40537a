//! What an error most likely comes from on this host.

use super::complaint::Complaint;
use super::host::{Holding, HostFacts};
use super::symptom::Symptom;
use super::times::Times;
use crate::assess::clock_findings::SET_THE_CLOCK;
use crate::assess::lifetime::Lifetime;
use crate::assess::limit::Skew;
use crate::credentials::Provider;
use crate::credentials::lease::Unavailable;
use crate::credentials::provide::Renewal;
use crate::time::{NANOS_PER_SECOND, Span, humane, humane_offset};

/// The documented window of a signature.
const SIGNATURE: Span = Span::from_nanos(300 * NANOS_PER_SECOND);
/// The window of S3 and STS, and of `RequestExpired`.
const LARGEST: Span = Span::from_nanos(900 * NANOS_PER_SECOND);
/// A clock that lags by this is suspected of ending a URL that does not say how late it came.
const TELLING: Span = Span::from_nanos(60 * NANOS_PER_SECOND);
/// Why AWS does not know an access key that it knew once.
const NO_MORE: &str = "the key was deleted or deactivated";
/// Why AWS calculates another signature with an access key that it knows.
const ANOTHER_SECRET: &str = "the secret key is not the one of this access key";
const NOTHING_HIDDEN: &str = "nothing is known here that hides the role of the instance";

/// What this host has to do with an error.
pub struct Here {
    /// Whether the cause is there now.
    pub is_present: bool,
    /// What was found, as the end of a sentence.
    pub text: String,
    /// What mends it, where this host tells better than the complaint does.
    pub remedy: Option<String>,
}

impl Here {
    fn present(text: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { is_present: true, text: text.into(), remedy: Some(remedy.into()) }
    }

    fn absent(text: impl Into<String>) -> Self {
        Self { is_present: false, text: text.into(), remedy: None }
    }

    /// Judges an error by what is known of this host.
    pub fn of(complaint: Complaint, times: &Times, host: &HostFacts) -> Self {
        match complaint {
            Complaint::RequestTimeTooSkewed => clock(times, host, LARGEST),
            Complaint::SignatureExpired | Complaint::SignatureNotYetCurrent | Complaint::PresignedNotYetValid => {
                clock(times, host, SIGNATURE)
            }
            Complaint::PresignedExpired => presigned(times, host),
            Complaint::RequestExpired => past(host, LARGEST)
                .or_else(|| expired(host))
                .or_else(|| outlived(host))
                .unwrap_or_else(|| in_order(host)),
            Complaint::AuthFailure => {
                past(host, SIGNATURE).or_else(|| shadowed(host, NO_MORE)).unwrap_or_else(|| in_order(host))
            }
            Complaint::ExpiredToken => expired(host).or_else(|| outlived(host)).unwrap_or_else(|| in_order(host)),
            Complaint::StillExpired => fast(host).or_else(|| expired(host)).unwrap_or_else(|| in_order(host)),
            Complaint::WebIdentityExpired | Complaint::InvalidIdentityToken => of_provider(host, Provider::WebIdentity),
            Complaint::SsoExpired => of_provider(host, Provider::SsoCache),
            Complaint::Container => proxied(host).unwrap_or_else(|| of_provider(host, Provider::Container)),
            Complaint::Imds(symptom) => imds(host, symptom),
            Complaint::NoCredentials => proxied(host).unwrap_or_else(|| of_provider(host, Provider::Imds)),
            Complaint::SignatureMismatch => past(host, SIGNATURE)
                .or_else(|| shadowed(host, ANOTHER_SECRET))
                .unwrap_or_else(|| Self::absent("nothing on this host tells which")),
            Complaint::InvalidClientTokenId | Complaint::UnrecognizedClient | Complaint::InvalidAccessKeyId => {
                shadowed(host, NO_MORE).unwrap_or_else(|| Self::absent(NOTHING_HIDDEN))
            }
            // Keys that never expire have no session token.
            Complaint::InvalidToken => outlived(host).unwrap_or_else(|| Self::absent(NOTHING_HIDDEN)),
            Complaint::IncompleteSignature | Complaint::MissingAuthenticationToken => {
                Self::absent("neither the clock nor the credentials of this host are part of it")
            }
        }
    }
}

/// The clock of this host is off by more than `limit` for certain.
fn past(host: &HostFacts, limit: Span) -> Option<Here> {
    let skew = host.skew.filter(|skew| skew.at_least() >= limit)?;
    Some(Here::present(
        format!("the system clock is {} now, past the limit of {} s", in_words(&skew), limit.seconds()),
        SET_THE_CLOCK,
    ))
}

/// What the message tells of the clock that signed, and what the clock here is like now.
fn clock(times: &Times, host: &HostFacts, usual: Span) -> Here {
    let limit = times.window.unwrap_or(usual);
    let then = times.offset().map(humane_offset);
    if let Some(here) = past(host, limit) {
        return match then {
            Some(then) => Here { text: format!("the clock that signed was {then}, and {}", here.text), ..here },
            None => here,
        };
    }
    let then = then.map_or_else(String::new, |then| format!("the clock that signed was {then}; "));
    Here::absent(match host.skew {
        Some(skew) if skew.at_most() >= limit => {
            format!("{then}the system clock here is {} now: whether it is off is not certain", in_words(&skew))
        }
        Some(skew) => format!(
            "{then}the system clock here is {} now, within the limit of {} s: it was set since then, another host signed, or \
             the request waited after it was signed",
            in_words(&skew),
            limit.seconds()
        ),
        None => format!("{then}how far the clock here is off is not known: `skewguard check` measures it"),
    })
}

/// A URL that a slow host signs lives shorter by its lag: that is the cause where it came too late by less.
fn presigned(times: &Times, host: &HostFacts) -> Here {
    let Some(skew) = host.skew else {
        return Here::absent("whether the clock here is slow is not known: `skewguard check` measures it");
    };
    if skew.offset.lag() >= times.overdue().unwrap_or(TELLING) && skew.offset.lag() > skew.bound.span() {
        let text =
            format!("the system clock is {} now, and URLs that this host signs end earlier by that", in_words(&skew));
        return Here::present(text, SET_THE_CLOCK);
    }
    Here::absent(format!("the system clock here is {} now, which is not the cause", in_words(&skew)))
}

/// Credentials that have run out here, or that an SDK on this host refreshes too late.
fn expired(host: &HostFacts) -> Option<Here> {
    let lives = || host.holdings.iter().filter_map(|holding| Some((holding, holding.life.as_ref().ok()?)));
    let over = lives().find_map(|(holding, life)| {
        // Who uses it renews it first.
        let left = left(life).filter(|left| *left <= Span::ZERO && holding.provider.renewal() != Renewal::OnUse)?;
        Some(run_out(holding, life, left))
    });
    over.or_else(|| lives().find_map(|(holding, life)| refreshed_late(holding, life)))
}

fn run_out(holding: &Holding, life: &Lifetime, left: Span) -> Here {
    let text = format!("{} ran out {} ago", holding.name(), humane(left));
    if life.remaining_local > Span::ZERO {
        let text = format!(
            "{text}, and by the slow clock of this host it lives for {} more: SDKs go on using it",
            humane(life.remaining_local)
        );
        return Here::present(text, SET_THE_CLOCK);
    }
    Here::present(text, holding.provider.renew())
}

fn refreshed_late(holding: &Holding, life: &Lifetime) -> Option<Here> {
    let (sdk, margin) =
        life.refresh_margins.iter().filter(|(_, margin)| *margin < Span::ZERO).min_by_key(|(_, m)| *m)?;
    let text = format!(
        "the system clock is so slow that {} uses {} for {} after it ran out, in every lifetime",
        sdk.name(),
        holding.name(),
        humane(*margin)
    );
    Some(Here::present(text, SET_THE_CLOCK))
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
        Some(Here::present(text, SET_THE_CLOCK))
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
            Some(left) if left <= Span::ZERO => run_out(holding, life, left),
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
