//! How far a shard has got with a roll-up, as the shard keeps it.

use crate::day::{Day, Month};
use crate::ring::Fingerprint;
use crate::store::Incarnation;
use std::fmt;
use std::str::FromStr;

/// A shard's way through a roll-up, or the last one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pass {
    /// The last day that it rolls up.
    pub through: Day,
    /// The last day of the pass before.
    pub since: Day,
    /// The ring that places sketches.
    pub ring: Fingerprint,
    /// The first month that was kept when old ones were looked for last.
    pub swept: Option<Month>,
    /// Where it stands.
    pub stage: Stage,
}

/// The stages of a pass, in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Brings sketches to the shards that own them.
    Move {
        /// Where it goes on.
        cursor: u64,
        /// The run of the server whose cursor this is; 0: any, it begins.
        run: Incarnation,
        /// Sketches that were found so far, and are still here.
        left: u64,
    },
    /// Has none that another shard should count, and waits until that is so of all shards.
    Moved,
    /// Turns sketches into numbers.
    Count {
        /// Where it goes on.
        cursor: u64,
        /// As in [`Stage::Move`].
        run: Incarnation,
    },
    /// Trims the top lists of finished days.
    List {
        /// The next of them.
        day: Day,
    },
    /// Deletes what is out of the days kept.
    Drop {
        /// Where it goes on.
        cursor: u64,
        /// As in [`Stage::Move`].
        run: Incarnation,
    },
    /// Has nothing left to do.
    Done,
}

/// A text that is no pass as [`Pass`] shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a pass of a roll-up")]
pub struct InvalidPass;

impl Stage {
    /// The beginning of [`Stage::Move`].
    pub const MOVE: Self = Self::Move { cursor: 0, run: Incarnation(0), left: 0 };
    /// The beginning of [`Stage::Count`].
    pub const COUNT: Self = Self::Count { cursor: 0, run: Incarnation(0) };
    /// The beginning of [`Stage::Drop`].
    pub const DROP: Self = Self::Drop { cursor: 0, run: Incarnation(0) };
}

impl Pass {
    /// The same pass at another stage.
    #[must_use]
    pub const fn at(self, stage: Stage) -> Self {
        Self { stage, ..self }
    }

    /// Whether it has nothing left to move.
    pub fn has_moved(&self) -> bool {
        !matches!(self.stage, Stage::Move { .. })
    }
}

impl fmt::Display for Pass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { through, since, ring, swept, .. } = self;
        match swept {
            Some(month) => write!(f, "{through} {since} {ring} {month} ")?,
            None => write!(f, "{through} {since} {ring} - ")?,
        }
        match self.stage {
            Stage::Move { cursor, run, left } => write!(f, "move {cursor} {} {left}", run.0),
            Stage::Moved => f.write_str("moved"),
            Stage::Count { cursor, run } => write!(f, "count {cursor} {}", run.0),
            Stage::List { day } => write!(f, "list {day}"),
            Stage::Drop { cursor, run } => write!(f, "drop {cursor} {}", run.0),
            Stage::Done => f.write_str("done"),
        }
    }
}

/// A part of the text.
fn read<T: FromStr>(text: &str) -> Result<T, InvalidPass> {
    text.parse().map_err(|_| InvalidPass)
}

impl FromStr for Pass {
    type Err = InvalidPass;

    fn from_str(text: &str) -> Result<Self, InvalidPass> {
        let parts: Vec<&str> = text.split(' ').collect();
        let [through, since, ring, swept, stage, rest @ ..] = parts.as_slice() else { return Err(InvalidPass) };
        let run = |text| Ok(Incarnation(read(text)?));
        let stage = match (*stage, rest) {
            ("move", [cursor, of, left]) => Stage::Move { cursor: read(cursor)?, run: run(of)?, left: read(left)? },
            ("moved", []) => Stage::Moved,
            ("count", [cursor, of]) => Stage::Count { cursor: read(cursor)?, run: run(of)? },
            ("list", [day]) => Stage::List { day: read(day)? },
            ("drop", [cursor, of]) => Stage::Drop { cursor: read(cursor)?, run: run(of)? },
            ("done", []) => Stage::Done,
            _ => return Err(InvalidPass),
        };
        let swept = if *swept == "-" { None } else { Some(read(swept)?) };
        Ok(Self { through: read(through)?, since: read(since)?, ring: read(ring)?, swept, stage })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pass_reads_back() {
        let (through, since): (Day, Day) = ("2026-11-23".parse().unwrap(), "2026-11-22".parse().unwrap());
        let (ring, run) = ("0123456789abcdef".parse().unwrap(), Incarnation(u64::MAX));
        for swept in [None, Some(through.month())] {
            for stage in [
                Stage::Move { cursor: u64::MAX, run, left: 3 },
                Stage::Moved,
                Stage::Count { cursor: 7, run },
                Stage::List { day: since },
                Stage::Drop { cursor: 0, run },
                Stage::Done,
            ] {
                let pass = Pass { through, since, ring, swept, stage };
                assert_eq!(pass.to_string().parse(), Ok(pass));
            }
        }
    }

    #[test]
    fn anything_else_is_no_pass() {
        let head = "2026-11-23 2026-11-22 0123456789abcdef -";
        for text in [
            String::new(),
            head.to_owned(),
            format!("{head} "),
            format!("{head} move 1 2"),
            format!("{head} done 1"),
            format!("{head}  done"),
            "2026-11-23 x 0123456789abcdef - done".to_owned(),
            "2026-11-23 2026-11-22 0123456789abcdef 2026 done".to_owned(),
        ] {
            assert_eq!(text.parse::<Pass>(), Err(InvalidPass), "{text:?}");
        }
    }
}
