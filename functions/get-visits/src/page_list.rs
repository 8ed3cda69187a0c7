//! The query of `GET /visits`: the pages whose counts are asked for.

use visits_core::http::{Problem, Query};
use visits_core::page::PageId;

/// Most pages in a request without a token: each may be a read of a shard, and a place in the cache.
pub(crate) const MAX_PUBLIC: usize = 20;

/// Most pages in a request of the owner.
pub(crate) const MAX_OWNERS: usize = 100;

/// Reads the values of `page`, in their order: 1 to `max`. Other parameters mean nothing.
pub(crate) fn pages(query: &Query, max: usize) -> Result<Vec<PageId>, Problem> {
    let ids: Vec<&str> = query.all("page").collect();
    if !(1..=max).contains(&ids.len()) {
        let detail = format!(
            "{} pages are asked for; 1 to {max} parameters page={{page_id}} are accepted (1 to {MAX_PUBLIC} where anybody \
             may read, 1 to {MAX_OWNERS} with VISITS_PUBLIC=off)",
            ids.len()
        );
        return Err(Problem::invalid_query(detail));
    }
    let page = |(n, id): (usize, &str)| {
        let told = |error| Problem::invalid_page_id(format_args!("page number {}: {error}", n + 1));
        PageId::from_decoded(id).map_err(told)
    };
    ids.into_iter().enumerate().map(page).collect()
}
