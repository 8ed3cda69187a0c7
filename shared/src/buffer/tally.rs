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
/// twice what is distinct, and adding one takes constant time on average. The only one, which most pages have, is kept in
/// place: a list of its own would take as much memory again.
#[derive(Debug, Default)]
pub(super) enum Fingerprints {
    #[default]
    None,
    One(Fingerprint),
    Many(Vec<Fingerprint>),
}

impl Fingerprints {
    pub(super) fn add(&mut self, visitor: Fingerprint) {
        match self {
            Self::None => *self = Self::One(visitor),
            Self::One(only) if *only == visitor => {}
            Self::One(only) => *self = Self::Many(vec![*only, visitor]),
            Self::Many(list) => add_to(list, visitor),
        }
    }

    /// The visitors under a day's secret, distinct and in order; none without one.
    pub(super) fn pseudonyms(self, secret: Option<&Secret>) -> Vec<Visitor> {
        let Some(secret) = secret else { return Vec::new() };
        let mut list = match self {
            Self::None => return Vec::new(),
            Self::One(only) => return vec![secret.pseudonym(only)],
            Self::Many(list) => list,
        };
        make_distinct(&mut list);
        let mut visitors: Vec<Visitor> = list.into_iter().map(|visitor| secret.pseudonym(visitor)).collect();
        visitors.sort_unstable();
        visitors
    }
}

fn add_to(list: &mut Vec<Fingerprint>, visitor: Fingerprint) {
    // A reload.
    if list.last() == Some(&visitor) {
        return;
    }
    if list.len() == list.capacity() && list.len() > 4 {
        make_distinct(list);
        if list.len() * 2 > list.capacity() {
            list.reserve(list.len());
        }
    }
    list.push(visitor);
}

fn make_distinct(list: &mut Vec<Fingerprint>) {
    list.sort_unstable();
    list.dedup();
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
            let Fingerprints::Many(kept) = &visitors else { panic!("there are ten") };
            assert!(kept.len() <= 40, "round {round}: {}", kept.len());
        }
        assert_eq!(visitors.pseudonyms(Some(&Secret::random().unwrap())).len(), 10);
    }

    #[test]
    fn the_only_visitor_of_a_page_needs_no_list() {
        let (mut visitors, secret) = (Fingerprints::default(), Secret::random().unwrap());
        let only = Fingerprint::of("192.0.2.1", "");
        for _ in 0..3 {
            visitors.add(only);
            assert!(matches!(visitors, Fingerprints::One(_)));
        }
        assert_eq!(size_of::<Fingerprints>(), size_of::<Vec<Fingerprint>>());
        assert_eq!(visitors.pseudonyms(Some(&secret)), [secret.pseudonym(only)]);
    }
}
