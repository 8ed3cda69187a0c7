//! The owner's questions, read from a query.

use visits_core::http::{Problem, Query};
use visits_core::statistics::{MAX_PAGES, MAX_SEARCH, TopQuery};

/// Returns the number of days that are asked for: `default` without the parameter, or all that are kept if they are fewer.
pub(super) fn days(query: &str, default: u64, most: u64) -> Result<u32, Problem> {
    number(&Query::parse(query)?, "days", default.min(most), most)
}

/// Which top list is asked for.
pub(super) fn top(query: &str, most_days: u64) -> Result<TopQuery, Problem> {
    let query = Query::parse(query)?;
    Ok(TopQuery {
        days: number(&query, "days", most_days.min(7), most_days)?,
        limit: number(&query, "limit", 20, u64::from(MAX_PAGES))?,
        search: search(&query)?,
    })
}

fn number(query: &Query, name: &str, default: u64, most: u64) -> Result<u32, Problem> {
    // What is within the bounds fits.
    Ok(u32::try_from(query.number(name, default, 1..=most)?).unwrap_or(u32::MAX))
}

fn search(query: &Query) -> Result<Option<String>, Problem> {
    let text = query.get("search").unwrap_or_default();
    let characters = text.chars().count();
    if characters > MAX_SEARCH {
        let detail = format!("search has {characters} characters: a text of at most {MAX_SEARCH} is accepted");
        return Err(Problem::invalid_query(detail));
    }
    Ok((!text.is_empty()).then(|| text.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::{days, top};
    use visits_core::statistics::TopQuery;

    #[test]
    fn what_is_not_said_has_a_default_within_what_is_kept() {
        assert_eq!((days("", 30, 400), days("", 30, 10), days("days=400", 30, 400)), (Ok(30), Ok(10), Ok(400)));
        assert_eq!(top("", 400), Ok(TopQuery { days: 7, limit: 20, search: None }));
        assert_eq!(top("search=", 3), Ok(TopQuery { days: 3, limit: 20, search: None }));
        let asked = top("limit=100&days=1&search=caf%C3%A9+%2F", 400);
        assert_eq!(asked, Ok(TopQuery { days: 1, limit: 100, search: Some("café /".to_owned()) }));
        assert!(top(&format!("search={}", "%C3%A9".repeat(100)), 400).is_ok());
    }
}
