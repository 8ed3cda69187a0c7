//! What is gathered of one page, and of visitors.

use crate::visit::{Fingerprint, Secret, Visitor};

/// Visits of one page that are not sealed yet.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) visits: u64,
    pub(super) bots: u64,
    pub(super) visitors: Fingerprints,
}

/// Visitors, each kept once or a few times: they are made distinct when the list would grow, so that it holds at most
/// twice what is distinct, and adding one takes constant time on average.
#[derive(Debug, Default)]
pub(super) struct Fingerprints(Vec<Fingerprint>);

impl Fingerprints {
    pub(super) fn add(&mut self, visitor: Fingerprint) {
        // A reload, and the only case at all on most pages.
        if self.0.last() == Some(&visitor) {
            return;
        }
        if self.0.len() == self.0.capacity() && self.0.len() > 4 {
            self.make_distinct();
            if self.0.len() * 2 > self.0.capacity() {
                self.0.reserve(self.0.len());
            }
        }
        self.0.push(visitor);
    }

    fn make_distinct(&mut self) {
        self.0.sort_unstable();
        self.0.dedup();
    }

    /// The visitors under a day's secret, distinct and in order; none without one.
    pub(super) fn pseudonyms(mut self, secret: Option<&Secret>) -> Vec<Visitor> {
        let Some(secret) = secret else { return Vec::new() };
        self.make_distinct();
        let mut visitors: Vec<Visitor> = self.0.into_iter().map(|visitor| secret.pseudonym(visitor)).collect();
        visitors.sort_unstable();
        visitors
    }
}

#[cfg(test)]
mod tests {
    use super::{Fingerprint, Fingerprints, Secret};

    #[test]
    fn a_visitor_who_comes_again_and_again_takes_little_room() {
        let mut visitors = Fingerprints::default();
        for round in 0..1_000 {
            for number in 0..10 {
                visitors.add(Fingerprint::of(&number.to_string(), ""));
            }
            assert!(visitors.0.len() <= 40, "round {round}: {}", visitors.0.len());
        }
        assert_eq!(visitors.pseudonyms(Some(&Secret::random().unwrap())).len(), 10);
    }
}
