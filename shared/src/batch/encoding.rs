//! What a batch adds as text, for copies that wait in a shard: JSON, so that an operator can read them.
//!
//! `[["home",3],["a/b",1]]` where nothing more is known of the visits, else
//! `{"day":"2026-11-24","pages":[["home",3,1,[…]],…],"visitors":[…],"refused":{…}}` with visits, bots among them and
//! visitors of each page. What is read may be damaged or somebody else's: all of it is checked.

use super::{Batch, Increment, MAX_BATCH_PAGES, SiteIncrement};
use crate::day::Day;
use crate::page::{PageId, PageIdError};
use crate::visit::{Refused, Visitor};
use serde::{Deserialize, Serialize};
use std::collections::HashSet;

/// Most visits in a batch: the largest number that the scripts take (15 digits, exact in a double).
pub const MAX_VISITS: u64 = 999_999_999_999_999;

/// Why a text is no batch.
#[derive(Debug, thiserror::Error)]
pub enum InvalidIncrements {
    /// Not JSON, cut off, or of another shape.
    #[error("not a JSON list of pages and counts: {0}")]
    Shape(#[from] serde_json::Error),
    /// No page, or more than a batch has.
    #[error("it has {0} pages; 1 to {MAX_BATCH_PAGES} are accepted")]
    Pages(usize),
    /// A name that is no page id.
    #[error(transparent)]
    Page(#[from] PageIdError),
    /// One page in two places.
    #[error("a page is there twice")]
    Twice,
    /// A count of 0, or a sum that is no count of visits.
    #[error("a count or their sum is not from 1 to {MAX_VISITS}")]
    Count,
}

/// What a batch adds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Content {
    /// The day of its visits.
    pub day: Option<Day>,
    /// What it adds to pages.
    pub increments: Vec<Increment>,
    /// What it adds to the site, besides.
    pub site: SiteIncrement,
}

/// The text of a batch of which more than totals is known.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Full {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    day: Option<Day>,
    pages: Vec<(String, u64, u64, Vec<Visitor>)>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    visitors: Vec<Visitor>,
    #[serde(default, skip_serializing_if = "Refused::is_empty")]
    refused: Refused,
}

/// What a batch adds, as text.
pub fn encode(batch: &Batch) -> String {
    let totals = |increment: &Increment| (increment.page.to_string(), increment.visits);
    let full = |increment: &Increment| {
        (increment.page.to_string(), increment.visits, increment.bots, increment.visitors.clone())
    };
    let more = |increment: &Increment| increment.bots > 0 || !increment.visitors.is_empty();
    let (increments, site) = (batch.increments(), batch.site());
    let text = if batch.day().is_none() && *site == SiteIncrement::default() && !increments.iter().any(more) {
        serde_json::to_string(&increments.iter().map(totals).collect::<Vec<_>>())
    } else {
        let pages = increments.iter().map(full).collect();
        serde_json::to_string(&Full { day: batch.day(), pages, visitors: site.visitors.clone(), refused: site.refused })
    };
    // Texts and numbers: this cannot fail.
    text.unwrap_or_default()
}

/// Reads what [`encode`] wrote.
pub fn decode(text: &[u8]) -> Result<Content, InvalidIncrements> {
    // Told apart by the first character, so that what is wrong is told of the shape that was meant.
    let full = if text.first() == Some(&b'{') {
        serde_json::from_slice(text)?
    } else {
        let totals: Vec<(String, u64)> = serde_json::from_slice(text)?;
        let pages = totals.into_iter().map(|(id, visits)| (id, visits, 0, Vec::new())).collect();
        Full { day: None, pages, visitors: Vec::new(), refused: Refused::default() }
    };
    let site = SiteIncrement { visitors: full.visitors, refused: full.refused };
    let least = usize::from(site == SiteIncrement::default());
    if !(least..=MAX_BATCH_PAGES).contains(&full.pages.len()) {
        return Err(InvalidIncrements::Pages(full.pages.len()));
    }
    let sum = full.pages.iter().try_fold(0_u64, |sum, (_, visits, ..)| sum.checked_add(*visits));
    let wrong = full.pages.iter().any(|(_, visits, bots, _)| *visits == 0 || bots > visits);
    if wrong || sum.is_none_or(|sum| sum > MAX_VISITS) || !within_bounds(&site.refused) {
        return Err(InvalidIncrements::Count);
    }
    let page = |(id, visits, bots, visitors): (String, u64, u64, Vec<Visitor>)| {
        Ok(Increment { page: PageId::from_decoded(&id)?, visits, bots, visitors })
    };
    let increments = full.pages.into_iter().map(page).collect::<Result<Vec<_>, PageIdError>>()?;
    let distinct: HashSet<&PageId> = increments.iter().map(|increment| &increment.page).collect();
    if distinct.len() < increments.len() {
        return Err(InvalidIncrements::Twice);
    }
    Ok(Content { day: full.day, increments, site })
}

fn within_bounds(refused: &Refused) -> bool {
    let Refused { origin, page, repeat, new_page } = *refused;
    [origin, page, repeat, new_page].iter().all(|count| *count <= MAX_VISITS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::Sequence;
    use crate::clock::Moment;
    use proptest::prelude::*;
    use std::time::Duration;

    const NOW: Moment = Moment::new(Duration::ZERO, Duration::ZERO);

    fn page(id: &str) -> PageId {
        PageId::from_decoded(id).unwrap()
    }

    fn of_day(day: Option<Day>, increments: Vec<Increment>, site: SiteIncrement) -> Batch {
        Batch::of_day(Sequence::FIRST, day, increments, site, NOW)
    }

    #[test]
    fn totals_are_plain_json() {
        let increments = vec![(page("a/\"b\" é"), 1), (page("home"), 3)];
        let text = encode(&Batch::seal(Sequence::FIRST, increments.clone(), NOW));
        assert_eq!(text, r#"[["a/\"b\" é",1],["home",3]]"#);
        let increments = increments.into_iter().map(Increment::from).collect();
        assert_eq!(decode(text.as_bytes()).unwrap(), Content { increments, ..Content::default() });
    }

    #[test]
    fn a_days_visits_keep_all_that_is_known_of_them() {
        let increment =
            Increment { page: page("home"), visits: 3, bots: 1, visitors: vec![Visitor(7), Visitor(u64::MAX)] };
        let refused = Refused { origin: 1, ..Refused::default() };
        let site = SiteIncrement { visitors: vec![Visitor(9)], refused };
        let day = "2026-11-24".parse().ok();
        let text = encode(&of_day(day, vec![increment.clone()], site.clone()));
        let expected = concat!(
            r#"{"day":"2026-11-24","pages":[["home",3,1,[7,18446744073709551615]]],"visitors":[9],"#,
            r#""refused":{"origin":1,"page":0,"repeat":0,"new_page":0}}"#
        );
        assert_eq!(text, expected);
        assert_eq!(decode(text.as_bytes()).unwrap(), Content { day, increments: vec![increment], site: site.clone() });
        let text = encode(&of_day(day, Vec::new(), site.clone()));
        assert_eq!(decode(text.as_bytes()).unwrap(), Content { day, increments: Vec::new(), site });
    }

    #[test]
    fn what_is_damaged_is_told_and_never_taken() {
        let many: Vec<(String, u64)> = (0..=MAX_BATCH_PAGES).map(|n| (n.to_string(), 1)).collect();
        let table = [
            (r#"[["home",3"#, "not a JSON list"),
            ("", "not a JSON list"),
            (r#"{"home":3}"#, "not a JSON list"),
            (r#"[["home",-1]]"#, "not a JSON list"),
            (r#"[["home",1.5]]"#, "not a JSON list"),
            ("[]", "it has 0 pages"),
            (&serde_json::to_string(&many).unwrap(), "it has 501 pages"),
            (r#"[["",1]]"#, "the page id is empty"),
            (r#"[["a\nb",1]]"#, "control character"),
            (r#"[["a",1],["a",1]]"#, "twice"),
            (r#"[["a",0]]"#, "a count or their sum"),
            (r#"[["a",999999999999999],["b",1]]"#, "a count or their sum"),
            (r#"[["a",18446744073709551615],["b",18446744073709551615]]"#, "a count or their sum"),
            (r#"{"pages":[]}"#, "it has 0 pages"),
            (r#"{"pages":[["a",1,2,[]]]}"#, "a count or their sum"),
            (r#"{"pages":[["a",1,0,[-1]]]}"#, "not a JSON list"),
            (r#"{"day":"2026-02-30","pages":[["a",1,0,[]]]}"#, "not a JSON list"),
            (r#"{"pages":[["a",1,0,[]]],"more":1}"#, "not a JSON list"),
            (r#"{"pages":[],"refused":{"origin":1000000000000000,"page":0,"repeat":0}}"#, "a count or their sum"),
        ];
        for (text, reason) in table {
            let error = decode(text.as_bytes()).unwrap_err().to_string();
            assert!(error.contains(reason), "{text}: {error}");
        }
    }

    proptest! {
        #[test]
        fn any_batch_reads_back(
            ids in prop::collection::hash_set("[^\\p{Cc}]{1,20}", 1..40),
            (visits, bots) in (1..1_000_u64).prop_flat_map(|visits| (Just(visits), 0..=visits)),
            visitors in prop::collection::vec(any::<u64>().prop_map(Visitor), 0..5),
            day in prop::option::of((0..100_000_u32).prop_map(|days| Day::from_epoch_millis(0).plus(days))),
        ) {
            let increment = |id: &String| Increment { page: page(id), visits, bots, visitors: visitors.clone() };
            let increments: Vec<Increment> = ids.iter().map(increment).collect();
            let site = SiteIncrement { visitors, refused: Refused::default() };
            let batch = of_day(day, increments, site);
            let read = decode(encode(&batch).as_bytes()).unwrap();
            let content = Content { day, increments: batch.increments().to_vec(), site: batch.site().clone() };
            prop_assert_eq!(read, content);
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200), text in "[\\[{].{0,80}") {
            let _ = decode(&bytes);
            let _ = decode(text.as_bytes());
        }
    }
}
