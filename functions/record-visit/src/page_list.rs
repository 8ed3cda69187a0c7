//! The body of `POST /visits`: the ids of visited pages.

use serde::de::{Deserialize, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use std::fmt;
use visits_core::http::{Problem, Request};
use visits_core::page::PageId;

/// Most visits in one request.
pub(crate) const MOST: usize = 100;

const ACCEPTED: &str = "a JSON array of 1 to 100 page ids is accepted, or an object with such an array as \"pages\"";

/// The pages of a request, in their order: 1 to [`MOST`]. One that is no page id spoils all of them.
pub(crate) fn pages(request: &Request) -> Result<Vec<PageId>, Problem> {
    let PageList(ids) = request.body.json(ACCEPTED)?;
    if !(1..=MOST).contains(&ids.len()) {
        return Err(Problem::invalid_body(&format_args!("it has {} page ids", ids.len()), ACCEPTED));
    }
    let page = |(n, id): (usize, String)| {
        PageId::from_decoded(&id).map_err(|error| Problem::invalid_page_id(&format_args!("pages[{n}]: {error}")))
    };
    ids.into_iter().enumerate().map(page).collect()
}

/// Ids as they are: page ids or not.
struct PageList(Vec<String>);

impl<'de> Deserialize<'de> for PageList {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(PageListVisitor).map(Self)
    }
}

struct PageListVisitor;

impl<'de> Visitor<'de> for PageListVisitor {
    type Value = Vec<String>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("page ids")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Vec<String>, A::Error> {
        let mut ids = Vec::new();
        while let Some(id) = items.next_element()? {
            ids.push(id);
        }
        Ok(ids)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Vec<String>, A::Error> {
        let mut ids = None;
        while let Some(name) = map.next_key::<String>()? {
            if name != "pages" {
                map.next_value::<IgnoredAny>()?;
            } else if ids.replace(map.next_value()?).is_some() {
                return Err(A::Error::duplicate_field("pages"));
            }
        }
        ids.ok_or_else(|| A::Error::missing_field("pages"))
    }
}
