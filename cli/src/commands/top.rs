//! `visits top`: the pages with the most visits. All pages are read, and only the best are kept.

use super::get;
use crate::args::TopArgs;
use crate::exit::{Failure, Outcome};
use crate::output::{NO_ERRORS, Output};
use crate::progress::Progress;
use crate::shards::Shards;
use crate::walk::Tour;
use crate::warnings::Warnings;
use std::cmp::Reverse;
use std::collections::{BTreeSet, HashMap};
use visits_core::page::PageId;

/// Shows the best pages, the best first; of equal ones the lesser id first.
pub(crate) async fn run(args: &TopArgs, shards: &Shards, output: &mut Output) -> Result<Outcome, Failure> {
    let mut best = Best::new(args.limit as usize);
    let mut warnings = Warnings::default();
    let mut progress = Progress::of_walk(shards.len(), true);
    let mut tour = Tour::begin(shards, &mut warnings).await?;
    while let Some(pages) = tour.next(&mut progress, &mut warnings).await? {
        for (page, count) in pages.iter().zip(shards.counts(&pages).await?) {
            match count {
                Ok(count) => best.offer(page, count.visits),
                Err(reason) => warnings.add(format!("the page {page} cannot be counted: {reason}")),
            }
        }
    }
    progress.finish();
    get::write(&best.list(), output)?;
    let warnings = warnings.list();
    output.tell(NO_ERRORS, &warnings)?;
    Ok(Outcome::with(&warnings))
}

/// The best of the pages offered so far.
struct Best {
    most: usize,
    /// The best first.
    ranked: BTreeSet<(Reverse<u64>, PageId)>,
    /// The pages among them: one may be offered again, from another shard or with more visits by now.
    counts: HashMap<PageId, u64>,
}

impl Best {
    fn new(most: usize) -> Self {
        Self { most, ranked: BTreeSet::new(), counts: HashMap::new() }
    }

    fn offer(&mut self, page: &PageId, count: u64) {
        if count == 0 || self.is_beaten(page, count) {
            return;
        }
        if let Some(before) = self.counts.insert(page.clone(), count) {
            self.ranked.remove(&(Reverse(before), page.clone()));
        }
        self.ranked.insert((Reverse(count), page.clone()));
        if self.ranked.len() > self.most {
            let last = self.ranked.pop_last();
            last.and_then(|(_, page)| self.counts.remove(&page));
        }
    }

    /// Whether as many pages as are wanted are at least as good, or the page itself was.
    fn is_beaten(&self, page: &PageId, count: u64) -> bool {
        let full = self.ranked.len() == self.most;
        let last = self.ranked.last().filter(|_| full).map_or(0, |(Reverse(count), _)| *count);
        count < last || self.counts.get(page).is_some_and(|before| count <= *before)
    }

    fn list(&self) -> Vec<(&PageId, u64)> {
        self.ranked.iter().map(|(Reverse(count), page)| (page, *count)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::Best;
    use visits_core::page::PageId;

    fn best(most: usize, offers: &[(&str, u64)]) -> Vec<(String, u64)> {
        let mut best = Best::new(most);
        for (page, count) in offers {
            best.offer(&PageId::from_decoded(page).unwrap(), *count);
        }
        assert_eq!(best.counts.len(), best.ranked.len());
        best.list().into_iter().map(|(page, count)| (page.to_string(), count)).collect()
    }

    #[test]
    fn the_best_are_kept_whatever_the_order() {
        let expected = [("c".to_owned(), 9), ("a".to_owned(), 5)];
        for offers in [[("a", 5), ("b", 1), ("c", 9)], [("c", 9), ("b", 1), ("a", 5)], [("b", 1), ("a", 5), ("c", 9)]] {
            assert_eq!(best(2, &offers), expected);
        }
    }

    #[test]
    fn a_page_offered_twice_is_listed_once_with_its_newest_count() {
        assert_eq!(best(2, &[("a", 5), ("a", 6), ("b", 1), ("a", 6)]), [("a".to_owned(), 6), ("b".to_owned(), 1)]);
    }

    #[test]
    fn of_equal_pages_the_lesser_id_is_better_and_pages_without_visits_are_none() {
        assert_eq!(best(1, &[("b", 5), ("a", 5), ("c", 0)]), [("a".to_owned(), 5)]);
        assert_eq!(best(2, &[("c", 0)]), []);
    }
}
