//! Which page a visit is of: Zipf's law, by which the page of rank `n` gets a share that goes with `1 / n^s`.
//! Visits of web sites follow it with exponents from 0.6 to 1.0 (Breslau and others, "Web caching and Zipf-like
//! distributions", INFOCOM 1999).

use fastrand::Rng;

/// The pages of a site by rank, from 0.
pub(super) struct Zipf {
    /// For each rank the weight of it and of all before it.
    weights: Vec<f64>,
}

impl Zipf {
    pub(super) fn new(pages: u32, exponent: f64) -> Self {
        let mut sum = 0.0;
        let weight = |rank: u32| {
            sum += f64::from(rank).powf(-exponent);
            sum
        };
        Self { weights: (1..=pages).map(weight).collect() }
    }

    /// The rank of a visit's page.
    pub(super) fn sample(&self, random: &mut Rng) -> usize {
        let all = self.weights.last().copied().unwrap_or_default();
        let drawn = random.f64() * all;
        // A rounding at the very end is the last page's.
        self.weights.partition_point(|&weight| weight <= drawn).min(self.weights.len() - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_zipf_mix_has_the_exponent_that_it_was_asked_for() {
        for exponent in [0.6, 1.0, 1.3] {
            let (zipf, mut random, mut visits) = (Zipf::new(1_000, exponent), Rng::with_seed(1), vec![0.0; 1_000]);
            for _ in 0..300_000 {
                visits[zipf.sample(&mut random)] += 1.0;
            }
            // Sums over ranks around 10 and around 100, so that chance is small.
            let around = |rank: usize| visits[rank / 2..rank * 2].iter().sum::<f64>();
            let found = 1.0 - f64::log10(around(100) / around(10));
            assert!((found - exponent).abs() < 0.05, "{found} for {exponent}");
        }
    }

    #[test]
    fn every_page_of_a_site_is_drawn_and_no_other() {
        let (zipf, mut random, mut drawn) = (Zipf::new(10, 1.0), Rng::with_seed(2), [false; 10]);
        for _ in 0..10_000 {
            drawn[zipf.sample(&mut random)] = true;
        }
        assert_eq!(drawn, [true; 10]);
    }
}
