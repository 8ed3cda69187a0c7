//! The parameters of a query.

use super::problem::Problem;
use percent_encoding::percent_decode;
use std::borrow::Cow;
use std::ops::RangeInclusive;

/// The parameters of a query string, as `application/x-www-form-urlencoded` has them and WHATWG's `URLSearchParams` writes
/// them: `+` is a space, everything else is percent-encoded, once. Event sources hand a query over as the client wrote it,
/// whatever they do with the path.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Query(Vec<(String, String)>);

impl Query {
    /// Reads `rawQueryString`. 400 for a `%` without two hexadecimal digits and for what is not UTF-8: both would make one
    /// page of two.
    pub fn parse(text: &str) -> Result<Self, Problem> {
        let pairs = text.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            Ok((decode(name)?, decode(value)?))
        });
        pairs.collect::<Result<_, _>>().map(Self)
    }

    /// A parameter's value: the first, if it comes more than once.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.all(name).next()
    }

    /// All values of a parameter, in order.
    pub fn all<'q>(&'q self, name: &str) -> impl Iterator<Item = &'q str> {
        self.0.iter().filter(move |(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// A whole number within `bounds`; `default` if the parameter is not there. 400 for anything else.
    pub fn number(&self, name: &str, default: u64, bounds: RangeInclusive<u64>) -> Result<u64, Problem> {
        let Some(text) = self.get(name) else { return Ok(default) };
        let digits = text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse().ok().filter(|number| digits && bounds.contains(number)).ok_or_else(|| {
            let (from, to) = (bounds.start(), bounds.end());
            Problem::invalid_query(format!("{name}={text}: a whole number from {from} to {to} is accepted"))
        })
    }
}

fn decode(text: &str) -> Result<String, Problem> {
    let whole_escape = |rest: &str| rest.as_bytes().get(..2).is_some_and(|hex| hex.iter().all(u8::is_ascii_hexdigit));
    if !text.split('%').skip(1).all(whole_escape) {
        let detail = "a `%` in the query is not followed by two hexadecimal digits; write a percent sign as `%25`";
        return Err(Problem::invalid_query(detail));
    }
    let spaced = if text.contains('+') { Cow::Owned(text.replace('+', " ")) } else { Cow::Borrowed(text) };
    let decoded = percent_decode(spaced.as_bytes()).decode_utf8();
    let not_utf8 = |_| Problem::invalid_query("the query is not UTF-8 once percent-decoded; only UTF-8 is accepted");
    decoded.map(Cow::into_owned).map_err(not_utf8)
}

#[cfg(test)]
mod tests {
    use super::Query;
    use proptest::prelude::{prop_assert_eq, proptest};
    use url::form_urlencoded;

    #[test]
    fn parameters_are_read_as_url_search_params_writes_them() {
        let query = Query::parse("page=a%2Fb&page=a+b&&page=a%2Bb&x&page=%2525&=y&page=caf%C3%A9&page=a=b?/é").unwrap();
        let pages: Vec<_> = query.all("page").collect();
        assert_eq!(pages, ["a/b", "a b", "a+b", "%25", "café", "a=b?/é"]);
        assert_eq!((query.get("x"), query.get(""), query.get("y")), (Some(""), Some("y"), None));
        assert_eq!(Query::parse("").unwrap().get("page"), None);
    }

    #[test]
    fn what_does_not_decode_is_told() {
        for (text, told) in [("a=%", "%25"), ("a=%zz", "%25"), ("%4=", "%25"), ("a=%E9", "UTF-8"), ("%FF", "UTF-8")] {
            let problem = Query::parse(text).unwrap_err();
            assert_eq!(problem.status(), 400);
            assert!(problem.body().contains(told), "{text}");
        }
    }

    #[test]
    fn a_number_is_whole_and_within_its_bounds() {
        let number = |text: &str| Query::parse(text).unwrap().number("days", 30, 1..=400);
        for (text, value) in [("", 30), ("days=1", 1), ("days=400&days=x", 400), ("day=7", 30), ("days=007", 7)] {
            assert_eq!(number(text), Ok(value), "{text}");
        }
        for text in
            ["days=", "days=0", "days=401", "days=-1", "days=%2B1", "days=1.5", "days=1e2", "days=99999999999999999999"]
        {
            let problem = number(text).unwrap_err();
            assert!(problem.body().contains("a whole number from 1 to 400 is accepted"), "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_was_written_comes_back(pairs in proptest::collection::vec(("\\PC{0,8}", "(?s).{0,16}"), 0..8)) {
            let text = form_urlencoded::Serializer::new(String::new()).extend_pairs(&pairs).finish();
            prop_assert_eq!(Query::parse(&text).unwrap().0, pairs);
        }

        #[test]
        fn any_text_is_a_query_or_a_problem(text in "(?s).*") {
            let _ = Query::parse(&text);
        }
    }
}
