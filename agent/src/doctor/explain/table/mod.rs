//! What is recognised: a row for each wording, of whose product it is, and what it proves.
//!
//! Whoever meets an error that is not understood adds a row: to [`requests`] where AWS refuses a request, to [`tokens`] where a
//! token has run out, to [`sources`] where an SDK gets no credentials, to [`others`] where somebody else judges a time, and to
//! [`foreign`] where it only looks like ours.

pub(super) mod foreign;
pub(super) mod others;
pub(super) mod requests;
pub(super) mod sources;
pub(super) mod tokens;

use super::folded::Needle;
use super::kind::Kind;

/// How much a wording tells. Within one cause the most telling counts, and of those the last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Rank {
    /// That something inside of it went wrong: it counts only where nothing else is there.
    Wrapper,
    /// Whom it is about.
    Mention,
    /// The code of an error.
    Code,
    /// What a code stands for, where it stands for several.
    Words,
}

/// One wording.
#[derive(Clone, Copy, Debug)]
pub(super) struct Row {
    /// Whose wording it is.
    #[cfg_attr(not(test), expect(dead_code, reason = "it is for people"))]
    pub(super) product: &'static str,
    /// The wording.
    pub(super) says: Needle,
    /// One of these stands in the same error as well; none where this is empty.
    pub(super) with: &'static [Needle],
    /// None of these stands in the same error.
    pub(super) without: &'static [Needle],
    /// What it proves.
    pub(super) proves: Kind,
    /// How much it tells.
    pub(super) rank: Rank,
    /// Whether others who have nothing to do with AWS use it too.
    pub(super) is_shared: bool,
    /// Which way the clock was off by it: 1 slow, -1 fast, 0 where it does not tell.
    pub(super) leans: i32,
    /// Whether it compares the clocks of two hosts of which neither is AWS's: none of them is known to be right.
    pub(super) is_between_hosts: bool,
    /// What it proves beyond its kind: a cause, and what mends it.
    pub(super) because: Option<(&'static str, &'static str)>,
}

/// A code of an error.
pub(super) const fn code(product: &'static str, says: &'static str, proves: Kind) -> Row {
    Row { says: Needle::Code(says), rank: Rank::Code, ..words(product, "", proves) }
}

/// Words of an error.
pub(super) const fn words(product: &'static str, says: &'static str, proves: Kind) -> Row {
    Row {
        product,
        says: Needle::Words(says),
        with: &[],
        without: &[],
        proves,
        rank: Rank::Words,
        is_shared: false,
        leans: 0,
        is_between_hosts: false,
        because: None,
    }
}

impl Row {
    pub(super) const fn with(self, with: &'static [Needle]) -> Self {
        Self { with, ..self }
    }

    pub(super) const fn without(self, without: &'static [Needle]) -> Self {
        Self { without, ..self }
    }

    pub(super) const fn rank(self, rank: Rank) -> Self {
        Self { rank, ..self }
    }

    pub(super) const fn shared(self) -> Self {
        Self { is_shared: true, ..self }
    }

    /// A clock that was behind, or data of the past.
    pub(super) const fn slow(self) -> Self {
        Self { leans: 1, ..self }
    }

    /// A clock that was ahead.
    pub(super) const fn fast(self) -> Self {
        Self { leans: -1, ..self }
    }

    /// Of two hosts of which neither is AWS's.
    pub(super) const fn between_hosts(self) -> Self {
        Self { is_between_hosts: true, ..self }
    }

    pub(super) const fn because(self, cause: &'static str, remedy: &'static str) -> Self {
        Self { because: Some((cause, remedy)), ..self }
    }
}

/// All rows.
pub(super) fn rows() -> impl Iterator<Item = &'static Row> {
    [requests::ROWS, tokens::ROWS, sources::ROWS, others::ROWS].into_iter().flatten()
}

/// What shows that an error is of AWS, or of what speaks like it.
pub(super) const OF_AWS: &[Needle] = &[
    Needle::Words("aws"),
    Needle::Words("amazon"),
    Needle::Words("amazonaws"),
    Needle::Words("an error occurred ("),
    Needle::Words("x-amz"),
    Needle::Words("x-amzn"),
    Needle::Words("boto"),
    Needle::Words("botocore"),
    Needle::Words("awssdk"),
    Needle::Words("requestid"),
    Needle::Words("request id"),
    Needle::Words("<requestid>"),
    Needle::Words("s3"),
    Needle::Words("ec2"),
    Needle::Words("sts"),
    Needle::Words("dynamodb"),
    Needle::Words("cognito"),
    Needle::Words("arn:"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_row_says_whose_it_is_and_what_it_looks_for() {
        for row in rows() {
            let (Needle::Code(text) | Needle::Words(text)) = row.says;
            assert!(!row.product.is_empty() && text.len() > 3, "{row:?}");
            assert!(text.trim() == text && !text.contains("  "), "{row:?}");
        }
    }
}
