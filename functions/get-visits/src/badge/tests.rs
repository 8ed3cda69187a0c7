use super::{Badge, width, with_separators};
use proptest::prelude::{prop_assert, prop_assert_eq, proptest};
use visits_core::http::{Query, Response};

fn badge(query: &str) -> Result<Badge, String> {
    let body = |problem| Response::from(problem).body().to_owned();
    Query::parse(query).and_then(|query| Badge::from_query(&query)).map_err(body)
}

fn svg(query: &str, count: u64) -> String {
    badge(query).unwrap().render(count)
}

/// Elements and attributes, if this is well-formed: a reader of the little XML that a badge is.
fn elements(svg: &str) -> Option<Vec<(String, String)>> {
    let mut open = Vec::new();
    let mut elements = Vec::new();
    let mut rest = svg;
    while let Some(begin) = rest.find('<') {
        let end = begin + rest[begin..].find('>')?;
        let (text, tag) = (&rest[..begin], &rest[begin + 1..end]);
        let whole = |text: &str| !text.contains(['>', '"']) && text.split('&').skip(1).all(|part| part.contains(';'));
        if !whole(text) || tag.contains('<') || tag.matches('"').count() % 2 != 0 {
            return None;
        }
        if let Some(name) = tag.strip_prefix('/') {
            (open.pop()? == name).then_some(())?;
        } else {
            let name = tag.trim_end_matches('/').split(' ').next()?;
            elements.push((name.to_owned(), tag.to_owned()));
            if !tag.ends_with('/') {
                open.push(name);
            }
        }
        rest = &rest[end + 1..];
    }
    (open.is_empty() && rest.is_empty()).then_some(elements)
}

#[test]
fn a_badge_says_label_and_count_to_everybody() {
    let svg = svg("", 1_234_567);
    assert!(svg.starts_with("<svg xmlns=\"http://www.w3.org/2000/svg\" width=\""), "{svg}");
    assert!(svg.contains("role=\"img\" aria-label=\"visits: 1,234,567\"><title>visits: 1,234,567</title>"), "{svg}");
    assert!(svg.contains(">visits</text>") && svg.contains(">1,234,567</text>"), "{svg}");
    assert!(elements(&svg).is_some(), "{svg}");
}

#[test]
fn parameters_change_the_look() {
    for (query, has) in [
        ("color=4c1", "fill=\"#44cc11\""),
        ("color=%234C1", "fill=\"#44cc11\""),
        ("color=0a0B0c", "fill=\"#0a0b0c\""),
        ("color=Red", "fill=\"#e05d44\""),
        ("color=white", "fill=\"#000\" textLength"),
        ("color=black", "fill=\"#000000\""),
        ("style=flat", "rx=\"3\""),
        ("style=flat-square", "rx=\"0\""),
        ("style=plastic", "rx=\"4\""),
        ("offset=1000", ">1,007</text>"),
        ("offset=1000000000000", ">1,000,000,000,007</text>"),
        ("label=", "aria-label=\"7\""),
        ("label=a+b&label=c&x=y", ">a b</text>"),
        ("label=caf%C3%A9", ">café</text>"),
    ] {
        let svg = svg(query, 7);
        assert!(svg.contains(has) && elements(&svg).is_some(), "{query}: {svg}");
    }
    assert!(!svg("style=flat-square", 7).contains("url(#s)"));
}

#[test]
fn what_is_no_look_is_told_with_what_is_accepted() {
    for (query, accepted) in [
        ("color=", "3 or 6 hexadecimal digits"),
        ("color=12", "brightgreen"),
        ("color=12345", "3 or 6"),
        ("color=%2B12", "3 or 6"),
        ("color=ggg", "3 or 6"),
        ("color=%23%234c1", "3 or 6"),
        ("color=url(x)", "3 or 6"),
        ("style=", "flat, flat-square and plastic"),
        ("style=Flat", "flat, flat-square and plastic"),
        ("offset=-1", "from 0 to 1000000000000"),
        ("offset=1000000000001", "from 0 to 1000000000000"),
        ("offset=x", "a whole number"),
        ("label=a%0Ab", "no control characters"),
        (&format!("label={}", "é".repeat(65)), "at most 64 characters"),
    ] {
        let told = badge(query).unwrap_err();
        assert!(told.contains("invalid-query") && told.contains(accepted), "{query}: {told}");
    }
    assert!(badge(&format!("label={}", "é".repeat(64))).is_ok());
}

#[test]
fn markup_in_a_label_is_text() {
    let svg = svg("label=%3C/title%3E%3Cscript%3Ealert(%22x%22)%3C/script%3E%26%27", 7);
    assert!(svg.contains("&lt;/title&gt;&lt;script&gt;alert(&quot;x&quot;)&lt;/script&gt;&amp;&#39;: 7"), "{svg}");
    assert!(!svg.contains("<script") && elements(&svg).is_some(), "{svg}");
}

#[test]
fn a_full_counter_stays_full() {
    assert!(svg("offset=1000000000000", u64::MAX).contains(">18,446,744,073,709,551,615</text>"));
}

#[test]
fn digits_come_in_groups_of_three() {
    for (count, text) in [(0, "0"), (999, "999"), (1_000, "1,000"), (99_999, "99,999"), (1_000_000, "1,000,000")] {
        assert_eq!(with_separators(count), text);
    }
}

#[test]
fn widths_are_verdanas() {
    // 11 pixels: 3 digits of 6.99, a comma of 4.
    assert_eq!((width("123"), width("1,234"), width(""), width("日本")), (21, 32, 0, 22));
    assert!(width("WWW") > width("iii") && width("é") > 0);
}

proptest! {
    #[test]
    fn any_label_gives_the_same_elements(label in r"\PC{0,64}", count: u64) {
        let query = format!("label={}", percent_encoded(&label));
        let svg = svg(&query, count);
        let names = |svg: &str| elements(svg).map(|all| all.into_iter().map(|(name, _)| name).collect::<Vec<_>>());
        let plain = if label.is_empty() { "label=" } else { "" };
        prop_assert_eq!(names(&svg), names(&self::svg(plain, count)), "{}", svg);
    }

    #[test]
    fn any_query_gives_a_badge_or_a_problem(query in r"((label|color|style|offset)=[ -~é%<>&]{0,12}&?){0,4}") {
        if let Ok(badge) = badge(&query) {
            prop_assert!(elements(&badge.render(1)).is_some());
        }
    }
}

fn percent_encoded(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect()
}
