//! Who may read what is found, and who may have written it.

/// On whose behalf something is read. The system lets this process read what it may, and no other's files are read for it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reader(());

impl Reader {
    /// Whoever runs this process: what the system lets it read, it may.
    pub const fn ourselves() -> Self {
        Self(())
    }

    /// A user: there are no numbers, so that it is nobody else.
    pub const fn user(_user: u32) -> Self {
        Self(())
    }

    /// A process of `/proc`, of which there is none.
    pub const fn of_process(_status: &str, _mapped: Option<(&str, &str)>) -> Self {
        Self(())
    }
}

/// Who may have written what is believed: those who can do everything, and whoever runs this process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Writers(());

impl Writers {
    /// Those: others have no numbers.
    pub fn with(_others: impl IntoIterator<Item = u32>) -> Self {
        Self(())
    }

    /// The same.
    #[cfg(test)]
    pub(crate) fn only(_users: impl IntoIterator<Item = u32>) -> Self {
        Self(())
    }

    /// Whether a number is that of one of them.
    pub const fn include(&self, user: u32) -> bool {
        user == 0
    }
}
