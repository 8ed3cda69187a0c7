mod query {
    use super::super::{Query, Response};
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
            assert!(Response::from(problem).body().contains(told), "{text}");
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
            let problem = Response::from(number(text).unwrap_err());
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
