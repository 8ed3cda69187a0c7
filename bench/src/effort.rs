//! How much is measured: for the report, or for a test.

/// How much is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effort {
    /// Enough for figures that a reader can trust: all groups together take some ten minutes.
    Full,
    /// Enough to notice a fall: seconds.
    Quick,
}

impl Effort {
    /// `full`, or about what `make test` has time for.
    pub fn choose<T>(self, full: T, quick: T) -> T {
        match self {
            Self::Full => full,
            Self::Quick => quick,
        }
    }
}
