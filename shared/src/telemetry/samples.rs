//! Some values of a metric out of all that were measured since its last line.

use std::time::Duration;

/// Most values of one metric that a line may hold.
pub const MOST: usize = 100;

/// Durations, all of them up to [`MOST`], else an even sample: every second one, every fourth, and so on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Samples {
    micros: Vec<u32>,
    /// One of `2^halvings` is kept.
    halvings: u32,
    /// How many came since the last one that was kept.
    since: u32,
}

impl Samples {
    /// Takes one more.
    pub fn add(&mut self, value: Duration) {
        if self.since > 0 {
            self.since -= 1;
            return;
        }
        if self.micros.len() == MOST {
            let mut keep = false;
            self.micros.retain(|_| {
                keep = !keep;
                keep
            });
            self.halvings += 1;
        }
        self.micros.push(u32::try_from(value.as_micros()).unwrap_or(u32::MAX));
        self.since = (1 << self.halvings.min(31)) - 1;
    }

    /// Nothing was measured.
    pub fn is_empty(&self) -> bool {
        self.micros.is_empty()
    }

    /// What was kept, in microseconds and in order.
    pub fn micros(&self) -> &[u32] {
        &self.micros
    }
}

#[cfg(test)]
mod tests {
    use super::{MOST, Samples};
    use std::time::Duration;

    fn of(count: u64) -> Samples {
        let mut samples = Samples::default();
        (0..count).for_each(|n| samples.add(Duration::from_micros(n)));
        samples
    }

    #[test]
    fn a_hundred_are_all_kept() {
        assert_eq!(of(100).micros(), (0..100).collect::<Vec<u32>>());
        assert!(of(0).is_empty());
    }

    #[test]
    fn of_more_an_even_sample_is_kept() {
        for count in [101, 150, 200, 1_000, 12_345, 1_000_000] {
            let kept = of(count).micros().to_vec();
            assert!(kept.len() > MOST / 2 - 1 && kept.len() <= MOST, "{count}: {}", kept.len());
            let steps: Vec<u32> = kept.windows(2).map(|pair| pair[1] - pair[0]).collect();
            assert!(steps.iter().all(|step| *step == steps[0]), "{count}: {steps:?}");
            assert!(u64::from(kept[kept.len() - 1] + steps[0]) >= count, "{count}: the newest are in it too");
        }
    }

    #[test]
    fn a_value_beyond_an_hour_is_kept_as_the_greatest_there_is() {
        let mut samples = Samples::default();
        samples.add(Duration::from_hours(2));
        assert_eq!(samples.micros(), [u32::MAX]);
    }
}
