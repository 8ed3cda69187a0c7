//! `VISITS_TEST`: what only a test of the real binaries may set. It is not for site owners and not in the README.
//!
//! A comma-separated list of `scale=N` (the protocol's durations run N times as fast), `healing=off` (applied
//! batches are not remembered, to show what remembering saves) and `frozen=PATH` (a file with the nanoseconds,
//! in decimal, for which this environment has been frozen: the monotonic clock then stops as it may on Lambda).

use super::variables::Variable;
use crate::timing::Timing;
use std::path::PathBuf;
use std::time::Duration;

pub(super) const TEST: Variable =
    Variable { name: "VISITS_TEST", default: "", accepted: "scale=N from 1 to 10000, healing=off, frozen=PATH" };

/// The settings of a test run; by default there is none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Testing {
    /// The protocol's durations.
    pub timing: Timing,
    /// The file that tells how long this environment has been frozen.
    pub frozen: Option<PathBuf>,
}

pub(super) fn parse(text: &str) -> Result<Testing, &'static str> {
    let (mut testing, mut healing) = (Testing::default(), true);
    for setting in text.split(',').filter(|setting| !setting.is_empty()) {
        match setting.split_once('=') {
            Some(("scale", number)) => {
                let by = number.parse().ok().filter(|by| (1..=10_000).contains(by));
                testing.timing = Timing::REAL.faster(by.ok_or("the scale is no number from 1 to 10000")?);
            }
            Some(("frozen", path)) => testing.frozen = Some(path.into()),
            Some(("healing", "off")) => healing = false,
            _ => return Err("unknown setting"),
        }
    }
    // Last, since a scale sets all durations anew.
    if !healing {
        testing.timing.confirm_after = Duration::ZERO;
    }
    Ok(testing)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_it_the_protocol_runs_at_its_own_pace() {
        assert_eq!(parse(""), Ok(Testing { timing: Timing::REAL, frozen: None }));
    }

    #[test]
    fn a_test_may_hasten_time_freeze_the_clock_and_switch_healing_off() {
        let testing = parse("healing=off,scale=100,frozen=/a/b").unwrap();
        assert_eq!((testing.timing.confirm_after, testing.timing.longest_pause.as_millis()), (Duration::ZERO, 300));
        assert_eq!(testing.frozen, Some("/a/b".into()));
    }

    #[test]
    fn a_mistake_is_told() {
        for text in ["scale=0", "scale=x", "scale", "healing=on", "fast"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
