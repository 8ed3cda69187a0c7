//! `visits get`, `visits owner` and `visits top`: pages' counts, and the shards that own them.

use crate::args::{PageList, TopArgs};
use crate::output::{Failure, NO_ERRORS, Outcome, Output, table};
use crate::shards::Shards;
use serde::Serialize;
use std::cmp::Reverse;
use std::collections::{BTreeSet, HashMap};
use visits_core::batch::MAX_BATCH_PAGES;
use visits_core::config::Config;
use visits_core::page::PageId;
use visits_core::shard::ShardConfig;

/// A page and its count.
#[derive(Serialize)]
struct Counted<'a> {
    page: &'a str,
    count: u64,
}

#[derive(Serialize)]
struct Owner<'a> {
    page: &'a str,
    shard: &'a str,
    endpoint: String,
}

/// Shows the counts in the order of the pages. A page whose record is damaged is reported and left out.
pub(crate) async fn get(args: &PageList, shards: &Shards, output: &mut Output) -> Result<Outcome, Failure> {
    let (mut counted, mut damaged) = (Vec::new(), Vec::new());
    shards.warn_of_missing(&shards.rings().await?);
    for pages in args.pages.chunks(MAX_BATCH_PAGES) {
        for (page, count) in pages.iter().zip(shards.counts(pages).await?) {
            match count {
                Ok(count) => counted.push((page, count.visits)),
                Err(reason) => damaged.push(format!("the page {page} cannot be counted: {reason}")),
            }
        }
    }
    write(&counted, output)?;
    output.end(&damaged, &shards.finish())
}

/// Writes a page on each line.
pub(crate) fn write(counted: &[(&PageId, u64)], output: &mut Output) -> Result<(), Failure> {
    if !output.is_json() {
        let rows = counted.iter().map(|(page, count)| [count.to_string(), page.to_string()]);
        return Ok(output.text(&table([">", ""], rows))?);
    }
    for (page, count) in counted {
        output.object(&Counted { page: page.as_str(), count: *count })?;
    }
    Ok(())
}

/// Shows the owners in the order of the pages. They follow from the ring: no shard is asked.
pub(crate) fn owner(args: &PageList, config: &Config, output: &mut Output) -> Result<Outcome, Failure> {
    let (ring, mut rows) = (config.ring(), Vec::new());
    for page in &args.pages {
        let ShardConfig { name, endpoint, .. } = &config.shards[ring.owner(page.as_str())];
        if output.is_json() {
            output.object(&Owner { page: page.as_str(), shard: name.as_str(), endpoint: endpoint.to_string() })?;
        } else {
            rows.push([name.to_string(), page.to_string()]);
        }
    }
    output.text(&table(["", ""], rows))?;
    Ok(Outcome::Done)
}

/// Shows the pages with the most visits, the best first; of equal ones the lesser id first. All pages are read, and only the
/// best are kept.
pub(crate) async fn top(args: &TopArgs, shards: &Shards, output: &mut Output) -> Result<Outcome, Failure> {
    let mut best = Best::new(args.limit as usize);
    let offer = async |pages: Vec<PageId>| {
        for (page, count) in pages.iter().zip(shards.counts(&pages).await?) {
            match count {
                Ok(count) => best.offer(page, count.visits),
                Err(reason) => shards.warn(format!("the page {page} cannot be counted: {reason}")),
            }
        }
        Ok(())
    };
    shards.walk_all(offer).await?;
    let warnings = shards.finish();
    write(&best.list(), output)?;
    output.end(NO_ERRORS, &warnings)
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
