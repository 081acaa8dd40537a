//! Why a query gave no sample.

use sntpc::KissOfDeathCode;

use crate::clock::sample::Failure;
use crate::sources::refusal;

/// Why a query gave no sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The name has no address.
    #[error("its name does not resolve")]
    Unresolved,
    /// Nothing came in time.
    #[error("{}", refusal::Refusal::TIMEOUT)]
    Timeout,
    /// The network refuses.
    #[error("the network refuses: port closed, no route, or forbidden")]
    Network,
    /// A reply of fewer than 48 bytes.
    #[error("the reply is too short")]
    Short,
    /// The reply does not repeat the request's random transmit time: it belongs to another request, or is forged.
    #[error("the reply does not belong to the request")]
    Origin,
    /// Not a server's reply.
    #[error("the reply is not of mode 4 (server)")]
    Mode,
    /// A version of the protocol that was not asked for.
    #[error("the reply is of another version")]
    Version,
    /// Leap indicator 3.
    #[error("the server says that it is not synchronized")]
    Unsynchronized,
    /// A time before this program was built: the server has none yet, whatever it says of itself.
    #[error("the server is not synchronized: it tells a time before this program was built")]
    BeforeBuild,
    /// Stratum 0 with a code.
    #[error("kiss-o'-death {}", kiss_name(*.0))]
    Kiss(KissOfDeathCode),
    /// Stratum 16 or more.
    #[error("the stratum is 16 or more")]
    Stratum,
    /// T2 is 0.
    #[error("the server's receive time is 0")]
    ZeroReceive,
    /// T3 is 0.
    #[error("the server's transmit time is 0")]
    ZeroTransmit,
    /// T3 before T2.
    #[error("the server sent before it received")]
    Backward,
    /// The server claims to have taken longer than the whole exchange.
    #[error("the server claims more time than the exchange took")]
    Overlong,
    /// A reference time after the transmit time.
    #[error("the server's reference time lies in its future")]
    FutureReference,
    /// A precision that no clock has.
    #[error("the server's precision is absurd")]
    Precision,
    /// Root delay and dispersion make the time worthless.
    #[error("the root distance is 16 s or more")]
    RootDistance,
}

impl Refusal {
    /// Every refusal, to find one again by its words.
    pub const ALL: [Self; 23] = [
        Self::Unresolved,
        Self::Timeout,
        Self::Network,
        Self::Short,
        Self::Origin,
        Self::Mode,
        Self::Version,
        Self::Unsynchronized,
        Self::BeforeBuild,
        Self::Kiss(KissOfDeathCode::Rate),
        Self::Kiss(KissOfDeathCode::Deny),
        Self::Kiss(KissOfDeathCode::Rstr),
        Self::Kiss(KissOfDeathCode::Init),
        Self::Kiss(KissOfDeathCode::Step),
        Self::Stratum,
        Self::ZeroReceive,
        Self::ZeroTransmit,
        Self::Backward,
        Self::Overlong,
        Self::FutureReference,
        Self::Precision,
        Self::RootDistance,
        Self::Kiss(KissOfDeathCode::Auth),
    ];

    /// The `outcome` in metrics.
    pub fn outcome(self) -> &'static str {
        match self {
            Self::Unresolved => "unresolved",
            Self::Timeout => "timeout",
            Self::Network => "network",
            Self::Short => "short",
            Self::Origin => "wrong-origin",
            Self::Mode => "wrong-mode",
            Self::Version => "wrong-version",
            Self::Unsynchronized | Self::BeforeBuild => "unsynchronized",
            Self::Kiss(KissOfDeathCode::Rate) => "kiss-rate",
            Self::Kiss(KissOfDeathCode::Deny) => "kiss-deny",
            Self::Kiss(KissOfDeathCode::Rstr) => "kiss-rstr",
            Self::Kiss(_) => "kiss-other",
            Self::Stratum => "bad-stratum",
            Self::ZeroReceive => "zero-receive-time",
            Self::ZeroTransmit => "zero-transmit-time",
            Self::Backward => "backward",
            Self::Overlong => "overlong",
            Self::FutureReference => "future-reference",
            Self::Precision => "bad-precision",
            Self::RootDistance => "root-distance",
        }
    }

    /// What it means for the estimate.
    pub const fn failure(self) -> Failure {
        match self {
            Self::Kiss(KissOfDeathCode::Deny | KissOfDeathCode::Rstr) => Failure::Denied,
            Self::Kiss(KissOfDeathCode::Init | KissOfDeathCode::Step)
            | Self::Unsynchronized
            | Self::BeforeBuild
            | Self::Stratum
            | Self::RootDistance => Failure::Unsynchronized,
            _ => Failure::Unanswered,
        }
    }

    /// Whether the datagram was junk that anybody could have sent, so that the real reply may still come.
    pub const fn is_junk(self) -> bool {
        matches!(self, Self::Short | Self::Origin)
    }
}

impl From<Refusal> for refusal::Refusal {
    fn from(refusal: Refusal) -> Self {
        Self {
            outcome: refusal.outcome(),
            text: refusal.to_string().into(),
            failure: refusal.failure(),
            is_too_often: refusal == Refusal::Kiss(KissOfDeathCode::Rate),
        }
    }
}

impl From<sntpc::Error> for Refusal {
    fn from(error: sntpc::Error) -> Self {
        match error {
            sntpc::Error::IncorrectOriginTimestamp | sntpc::Error::ResponseAddressMismatch => Self::Origin,
            sntpc::Error::IncorrectMode => Self::Mode,
            sntpc::Error::UnsynchronizedClock => Self::Unsynchronized,
            sntpc::Error::InvalidTimestamp => Self::ZeroTransmit,
            sntpc::Error::ExcessiveRootDistance => Self::RootDistance,
            sntpc::Error::BackwardReferenceTimestamp => Self::FutureReference,
            sntpc::Error::IncorrectResponseVersion => Self::Version,
            sntpc::Error::IncorrectStratumHeaders => Self::Stratum,
            sntpc::Error::IncorrectPayload => Self::Short,
            sntpc::Error::KissOfDeath(code) => Self::Kiss(code),
            sntpc::Error::AddressResolve => Self::Unresolved,
            _ => Self::Network,
        }
    }
}

/// Four letters at most; what a hostile server made up is not repeated.
fn kiss_name(code: KissOfDeathCode) -> &'static str {
    match code {
        KissOfDeathCode::Rate => "RATE (asked too often)",
        KissOfDeathCode::Deny => "DENY (access denied)",
        KissOfDeathCode::Rstr => "RSTR (access restricted)",
        KissOfDeathCode::Init => "INIT (not synchronized yet)",
        KissOfDeathCode::Step => "STEP (the server's clock was stepped)",
        _ => "of another kind",
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_refusal_is_found_again_by_its_text() {
        let texts: BTreeSet<String> = Refusal::ALL.iter().map(Refusal::to_string).collect();
        assert_eq!(texts.len(), Refusal::ALL.len());
    }

    #[test]
    fn a_refusal_means_the_same_in_the_words_of_all_sources() {
        assert_eq!(refusal::Refusal::from(Refusal::Timeout), refusal::Refusal::TIMEOUT);
        for own in Refusal::ALL {
            let refusal = refusal::Refusal::from(own);
            assert_eq!((refusal.outcome, refusal.failure), (own.outcome(), own.failure()));
            assert_eq!(refusal.to_string(), own.to_string());
            assert_eq!(refusal.is_too_often, own.outcome() == "kiss-rate");
        }
    }
}
