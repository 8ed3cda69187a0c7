//! Page ids as the formats write them.

use crate::summary::Reason;
use crate::tally::Verdict;
use visits_core::page::{PageId, PageIdError};

/// The page of a percent-encoded id, or the index's for an empty one.
pub(crate) fn encoded_page(id: &[u8], index: &PageId) -> Verdict {
    if id.is_empty() {
        return Verdict::Page(index.clone());
    }
    let text = str::from_utf8(id).map_err(|_| PageIdError::NotUtf8);
    match text.and_then(PageId::from_encoded) {
        Ok(page) => Verdict::Page(page),
        Err(error) => Verdict::Bad(Reason::Page(error).into()),
    }
}

/// The page of an id that is written as it is.
pub(crate) fn plain_page(id: &[u8]) -> Verdict {
    let text = str::from_utf8(id).map_err(|_| PageIdError::NotUtf8);
    match text.and_then(PageId::from_decoded) {
        Ok(page) => Verdict::Page(page),
        Err(error) => Verdict::Bad(Reason::Page(error).into()),
    }
}
