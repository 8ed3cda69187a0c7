//! A batch's increments as text, for copies that wait in a shard: JSON, so that an operator can read them.
//!
//! `[["home",3],["a/b",1]]`. What is read may be damaged or somebody else's: all of it is checked.

use super::MAX_BATCH_PAGES;
use crate::page::{PageId, PageIdError};
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

/// The increments as text.
pub fn encode(increments: &[(PageId, u64)]) -> String {
    let increments: Vec<(&str, u64)> = increments.iter().map(|(page, visits)| (page.as_str(), *visits)).collect();
    // Texts and numbers: this cannot fail.
    serde_json::to_string(&increments).unwrap_or_default()
}

/// Reads what [`encode`] wrote.
pub fn decode(text: &[u8]) -> Result<Vec<(PageId, u64)>, InvalidIncrements> {
    let increments: Vec<(String, u64)> = serde_json::from_slice(text)?;
    if !(1..=MAX_BATCH_PAGES).contains(&increments.len()) {
        return Err(InvalidIncrements::Pages(increments.len()));
    }
    let sum = increments.iter().try_fold(0_u64, |sum, (_, visits)| sum.checked_add(*visits));
    let zero = increments.iter().any(|(_, visits)| *visits == 0);
    if zero || sum.is_none_or(|sum| sum > MAX_VISITS) {
        return Err(InvalidIncrements::Count);
    }
    let page = |(id, visits): (String, u64)| Ok((PageId::from_decoded(&id)?, visits));
    let increments = increments.into_iter().map(page).collect::<Result<Vec<_>, PageIdError>>()?;
    let distinct: HashSet<&PageId> = increments.iter().map(|(page, _)| page).collect();
    if distinct.len() < increments.len() { Err(InvalidIncrements::Twice) } else { Ok(increments) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn it_is_plain_json() {
        let page = |id: &str| PageId::from_decoded(id).unwrap();
        let increments = vec![(page("home"), 3), (page("a/\"b\" é"), 1)];
        let text = encode(&increments);
        assert_eq!(text, r#"[["home",3],["a/\"b\" é",1]]"#);
        assert_eq!(decode(text.as_bytes()).unwrap(), increments);
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
        ];
        for (text, reason) in table {
            let error = decode(text.as_bytes()).unwrap_err().to_string();
            assert!(error.contains(reason), "{text}: {error}");
        }
    }

    proptest! {
        #[test]
        fn any_batch_reads_back(ids in prop::collection::hash_set("[^\\p{Cc}]{1,20}", 1..40), visits in 1..1_000_u64) {
            let increments: Vec<(PageId, u64)> =
                ids.iter().map(|id| (PageId::from_decoded(id).unwrap(), visits)).collect();
            prop_assert_eq!(decode(encode(&increments).as_bytes()).unwrap(), increments);
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = decode(&bytes);
        }
    }
}
