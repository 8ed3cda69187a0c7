//! Random faults that are the same for the same seed.

use crate::Fault;
use std::time::Duration;

/// How probable each fault is for a command, from 0 to 1. The rest of the commands pass.
///
/// ```
/// use fault_proxy::Rates;
/// use std::time::Duration;
///
/// let rates = Rates { cut_after_apply: 0.05, mute_late: 0.01, stall: Duration::from_millis(50), ..Rates::default() };
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Rates {
    /// Of [`Fault::Refuse`].
    pub refuse: f64,
    /// Of [`Fault::Mute`].
    pub mute: f64,
    /// Of [`Fault::MuteLate`].
    pub mute_late: f64,
    /// Of [`Fault::Delay`].
    pub delay: f64,
    /// Of [`Fault::CutAfterApply`].
    pub cut_after_apply: f64,
    /// Of [`Fault::CutBeforeApply`].
    pub cut_before_apply: f64,
    /// Of [`Fault::HalfOpen`].
    pub half_open: f64,
    /// Delays are spread evenly from zero to this.
    pub longest_delay: Duration,
    /// How long a drawn `Mute` or `MuteLate` lasts at most; the next `set` or `heal` lifts it as well.
    pub stall: Duration,
}

impl Rates {
    fn sum(&self) -> f64 {
        let cuts = self.cut_after_apply + self.cut_before_apply;
        self.refuse + self.mute + self.mute_late + self.delay + cuts + self.half_open
    }

    /// The fault for two random numbers from 0 to 1.
    fn choose(&self, which: f64, how_long: f64) -> Fault {
        let choices = [
            (self.refuse, Fault::Refuse),
            (self.mute, Fault::Mute),
            (self.mute_late, Fault::MuteLate),
            (self.delay, Fault::Delay(self.longest_delay.mul_f64(how_long))),
            (self.cut_after_apply, Fault::CutAfterApply),
            (self.cut_before_apply, Fault::CutBeforeApply),
            (self.half_open, Fault::HalfOpen),
        ];
        let mut bound = 0.0;
        let chosen = choices.into_iter().find(|(rate, _)| {
            bound += rate;
            which < bound
        });
        chosen.map_or(Fault::None, |(_, fault)| fault)
    }
}

/// A sequence of faults, one for each command that asks.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    rates: Rates,
    random: SplitMix64,
}

impl Plan {
    /// # Panics
    /// If a rate is negative or no number, or their sum is above 1.
    pub(crate) fn new(seed: u64, rates: Rates) -> Self {
        let each = [rates.refuse, rates.mute, rates.mute_late, rates.delay, rates.half_open];
        let fine = each.into_iter().chain([rates.cut_after_apply, rates.cut_before_apply]).all(|rate| rate >= 0.0);
        // Decimal rates that fill 1 exactly may add up to a hair more.
        assert!(fine && rates.sum() <= 1.0 + 1e-9, "no probabilities: {rates:?}");
        Self { rates, random: SplitMix64(seed) }
    }

    /// The next fault. Always takes two numbers, so that a rate changes no draw but those it is about.
    pub(crate) fn draw(&mut self) -> Fault {
        let (which, how_long) = (self.random.unit(), self.random.unit());
        self.rates.choose(which, how_long)
    }

    /// How long a drawn silence lasts.
    pub(crate) fn stall(&self) -> Duration {
        self.rates.stall
    }
}

/// Steele, Lea and Flood's generator, whose every seed is good.
#[derive(Clone, Debug)]
struct SplitMix64(u64);

impl SplitMix64 {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// From 0 to below 1.
    fn unit(&mut self) -> f64 {
        let high = u32::try_from(self.next() >> 32).unwrap_or_default();
        f64::from(high) / (f64::from(u32::MAX) + 1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATES: Rates = Rates {
        refuse: 0.1,
        mute: 0.1,
        mute_late: 0.1,
        delay: 0.1,
        cut_after_apply: 0.1,
        cut_before_apply: 0.1,
        half_open: 0.1,
        longest_delay: Duration::from_secs(1),
        stall: Duration::ZERO,
    };

    fn draws(seed: u64) -> Vec<Fault> {
        let mut plan = Plan::new(seed, RATES);
        (0..10_000).map(|_| plan.draw()).collect()
    }

    #[test]
    fn the_generator_is_splitmix64() {
        let mut random = SplitMix64(1_234_567);
        assert_eq!([random.next(), random.next()], [6_457_827_717_110_365_317, 3_203_168_211_198_807_973]);
    }

    #[test]
    fn a_seed_gives_the_same_faults_and_another_seed_others() {
        assert_eq!(draws(7), draws(7));
        assert_ne!(draws(7), draws(8));
    }

    #[test]
    fn every_fault_comes_as_often_as_its_rate_says() {
        let mut counts = [0_u32; Fault::KINDS];
        for fault in draws(1) {
            counts[fault.kind()] += 1;
        }
        assert!((2_800..3_200).contains(&counts[0]), "{counts:?}");
        assert!(counts[1..].iter().all(|count| (850..1_150).contains(count)), "{counts:?}");
    }

    #[test]
    #[should_panic(expected = "no probabilities")]
    fn rates_above_one_are_refused() {
        Plan::new(1, Rates { delay: 0.6, mute: 0.6, ..Rates::default() });
    }
}
