//! The query of `GET /visits`: the pages whose counts are asked for.

use visits_core::http::{Problem, Query};
use visits_core::page::PageId;

/// Most pages in one request.
const MOST: usize = 100;

/// The values of `page`, in their order: 1 to [`MOST`]. Other parameters mean nothing.
pub(crate) fn pages(query: &Query) -> Result<Vec<PageId>, Problem> {
    let ids: Vec<&str> = query.all("page").collect();
    if !(1..=MOST).contains(&ids.len()) {
        let detail = format!("{} pages are asked for; 1 to {MOST} parameters page={{page_id}} are accepted", ids.len());
        return Err(Problem::invalid_query(detail));
    }
    let page = |(n, id): (usize, &str)| {
        let told = |error| Problem::invalid_page_id(&format_args!("page number {}: {error}", n + 1));
        PageId::from_decoded(id).map_err(told)
    };
    ids.into_iter().enumerate().map(page).collect()
}
