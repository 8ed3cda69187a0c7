//! The body of `POST /visits`: the ids of visited pages.

use serde::Deserialize;
use visits_core::http::{Problem, Request};
use visits_core::page::PageId;

/// Most visits in one request.
pub(crate) const MOST: usize = 100;

const ACCEPTED: &str = "a JSON array of 1 to 100 page ids is accepted, or an object with such an array as \"pages\"";

/// The pages of a request, in their order: 1 to [`MOST`]. One that is no page id spoils all of them.
pub(crate) fn pages(request: &Request) -> Result<Vec<PageId>, Problem> {
    let (PageList::Ids(ids) | PageList::Object { pages: ids }) = request.body.json(ACCEPTED)?;
    if !(1..=MOST).contains(&ids.len()) {
        return Err(Problem::invalid_body(&format_args!("it has {} page ids", ids.len()), ACCEPTED));
    }
    let page = |(n, id): (usize, String)| {
        PageId::from_decoded(&id).map_err(|error| Problem::invalid_page_id(&format_args!("pages[{n}]: {error}")))
    };
    ids.into_iter().enumerate().map(page).collect()
}

/// Ids as they are: page ids or not.
#[derive(Deserialize)]
#[serde(untagged, expecting = "it is no list of texts")]
enum PageList {
    Ids(Vec<String>),
    Object { pages: Vec<String> },
}
