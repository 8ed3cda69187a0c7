//! How far a shard has got with moving its pages, as the shard keeps it.

use crate::store::Incarnation;
use std::fmt;
use std::str::FromStr;

/// A shard's way through a ring change, or the last one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pass {
    /// What the shard's count of late writes was when the pass began. If it has grown since, there may be pages again
    /// that the shard does not own.
    pub late: u64,
    /// Where it stands.
    pub stage: Stage,
}

/// The stages of a pass, in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Looks for pages that the shard does not own, and takes them.
    Take {
        /// Where it goes on.
        cursor: u64,
        /// The run of the server whose cursor this is; 0: any, it begins.
        run: Incarnation,
    },
    /// Has found none left, and waits until all that it took has arrived.
    Taken,
    /// Deletes the notes of what has left.
    Out {
        /// Where it goes on.
        cursor: u64,
        /// As in [`Stage::Take`].
        run: Incarnation,
    },
    /// Waits until no shard's notes of what has left can come back with a crash.
    Cleaned {
        /// Since when, in milliseconds of the shard's clock.
        at: u64,
        /// In which run of its server.
        run: Incarnation,
    },
    /// Deletes the notes of what has come.
    In {
        /// Where it goes on.
        cursor: u64,
        /// As in [`Stage::Take`].
        run: Incarnation,
        /// Pages that were found so far.
        kept: u64,
    },
    /// Has nothing left to do.
    Done {
        /// Pages that were found.
        kept: u64,
    },
}

/// A text that is no pass as [`Pass`] shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a pass of a ring change")]
pub struct InvalidPass;

impl Pass {
    /// A pass that begins.
    pub const fn begin(late: u64) -> Self {
        Self { late, stage: Stage::TAKE }
    }

    /// Whether `to` is this pass, a slice further in taking pages. What comes late meanwhile matters at its end.
    pub fn goes_on_to(self, to: Self) -> bool {
        self.late == to.late && matches!((self.stage, to.stage), (Stage::Take { .. }, Stage::Take { .. }))
    }

    /// The same pass at another stage.
    #[must_use]
    pub const fn at(self, stage: Stage) -> Self {
        Self { late: self.late, stage }
    }
}

impl Stage {
    /// The beginning of [`Stage::Take`].
    pub const TAKE: Self = Self::Take { cursor: 0, run: Incarnation(0) };
    /// The beginning of [`Stage::Out`].
    pub const OUT: Self = Self::Out { cursor: 0, run: Incarnation(0) };
    /// The beginning of [`Stage::In`].
    pub const IN: Self = Self::In { cursor: 0, run: Incarnation(0), kept: 0 };
}

impl fmt::Display for Pass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let late = self.late;
        match self.stage {
            Stage::Take { cursor, run } => write!(f, "take {late} {cursor} {}", run.0),
            Stage::Taken => write!(f, "taken {late}"),
            Stage::Out { cursor, run } => write!(f, "out {late} {cursor} {}", run.0),
            Stage::Cleaned { at, run } => write!(f, "cleaned {late} {at} {}", run.0),
            Stage::In { cursor, run, kept } => write!(f, "in {late} {cursor} {} {kept}", run.0),
            Stage::Done { kept } => write!(f, "done {late} {kept}"),
        }
    }
}

impl FromStr for Pass {
    type Err = InvalidPass;

    fn from_str(text: &str) -> Result<Self, InvalidPass> {
        let (stage, numbers) = text.split_once(' ').ok_or(InvalidPass)?;
        let numbers: Result<Vec<u64>, _> = numbers.split(' ').map(str::parse).collect();
        let (late, stage) = match (stage, numbers.map_err(|_| InvalidPass)?.as_slice()) {
            ("take", &[late, cursor, run]) => (late, Stage::Take { cursor, run: Incarnation(run) }),
            ("taken", &[late]) => (late, Stage::Taken),
            ("out", &[late, cursor, run]) => (late, Stage::Out { cursor, run: Incarnation(run) }),
            ("cleaned", &[late, at, run]) => (late, Stage::Cleaned { at, run: Incarnation(run) }),
            ("in", &[late, cursor, run, kept]) => (late, Stage::In { cursor, run: Incarnation(run), kept }),
            ("done", &[late, kept]) => (late, Stage::Done { kept }),
            _ => return Err(InvalidPass),
        };
        Ok(Self { late, stage })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pass_reads_back() {
        let run = Incarnation(u64::MAX);
        for stage in [
            Stage::Take { cursor: 7, run },
            Stage::Taken,
            Stage::Out { cursor: u64::MAX, run },
            Stage::Cleaned { at: 1_700_000_000_000, run },
            Stage::In { cursor: 0, run, kept: 3 },
            Stage::Done { kept: 0 },
        ] {
            let pass = Pass::begin(5).at(stage);
            assert_eq!(pass.to_string().parse(), Ok(pass));
        }
    }

    #[test]
    fn anything_else_is_no_pass() {
        for text in
            ["", "take", "take 1", "take 1 2 3 4", "take  1 2 3", "taken -1", "TAKE 1 2 3", "done 1 2 ", "rest 1"]
        {
            assert_eq!(text.parse::<Pass>(), Err(InvalidPass), "{text:?}");
        }
    }
}
