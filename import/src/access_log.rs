//! Access logs of nginx and Apache, common or combined, told line by line: what stands before the time (also a virtual
//! host) and behind the status does not matter.
//!
//! A visit is a request with the chosen method that was answered with a page ([`LogMethod::is_visit`]), whose path is a
//! page by [`LogOptions`].

mod agent;
mod line;
mod options;
mod path;

pub use options::{InvalidPattern, LogMethod, LogOptions, PagePattern};

use crate::lines::Lines;
use crate::read::Records;
use crate::summary::{Reason, Seen};
use crate::tally::{Count, Tally};
use agent::Verdicts;
use line::Request;
use std::io::{self, Read};

#[derive(Debug)]
pub(crate) struct AccessLog<R> {
    lines: Lines<R>,
    options: LogOptions,
    verdicts: Verdicts,
}

impl<R: Read> AccessLog<R> {
    pub(crate) fn new(input: R, options: LogOptions) -> Self {
        Self { lines: Lines::new(input), options, verdicts: Verdicts::default() }
    }
}

impl<R: Read> Records for AccessLog<R> {
    fn next(&mut self, tally: &mut Tally) -> io::Result<Option<Seen>> {
        Ok(self.lines.next()?.map(|line| match line {
            Ok(line) => see(line, &self.options, &mut self.verdicts, tally),
            Err(reason) => Seen::Bad(Reason::Told(reason)),
        }))
    }

    fn line(&self) -> u64 {
        self.lines.number()
    }
}

fn see(line: &[u8], options: &LogOptions, verdicts: &mut Verdicts, tally: &mut Tally) -> Seen {
    if line.is_empty() {
        return Seen::Ignored;
    }
    let Some(request) = Request::find(line) else {
        let expected = "not a line of an access log: expected … [time] \"request\" status …";
        return Seen::Bad(Reason::Told(expected));
    };
    let path = request.path(options.method).filter(|_| options.method.is_visit(request.status));
    let Some(path) = path else { return Seen::Ignored };
    let bot = verdicts.is_bot(request.rest);
    if bot && options.skip_bots {
        return Seen::Ignored;
    }
    tally.add(path, Count::one(bot), |path| path::verdict(path, options))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tally::Bounds;

    /// What a line is seen as, and the page it counts for.
    fn see_one(line: &[u8], options: &LogOptions) -> (Seen, Option<String>) {
        let mut tally = Tally::new(Bounds::default());
        let seen = see(line, options, &mut Verdicts::default(), &mut tally);
        (seen, tally.take().first().map(|one| one.page.to_string()))
    }

    fn page(line: &str) -> Option<String> {
        see_one(line.as_bytes(), &LogOptions::default()).1
    }

    const COMMON: &str = r#"203.0.113.9 - - [10/Oct/2025:13:55:36 +0000] "GET /a HTTP/1.1" 200 2326"#;

    #[test]
    fn common_combined_and_virtual_host_lines_count() {
        let lines = [
            COMMON.to_owned(),
            format!(r#"{COMMON} "https://example.org/" "Mozilla/5.0 (X11; Linux x86_64)""#),
            format!("www.example.org:443 {COMMON}"),
            COMMON.replace("- -", r#"- "quoted \" user""#),
            COMMON.replace("- -", "- a name with [spaces]"),
            COMMON.replace("HTTP/1.1", "HTTP/2.0"),
            COMMON.replace(" HTTP/1.1", ""),
            COMMON.replace("/a ", "/a?utm_source=x&y=%zz "),
            COMMON.replace("/a ", "http://example.org/a "),
            COMMON.replace("200 2326", "203 2326"),
            COMMON.replace("200 2326", "304 -"),
            COMMON.replace("200 2326", "200"),
        ];
        for line in lines {
            assert_eq!(page(&line).as_deref(), Some("a"), "{line}");
        }
    }

    #[test]
    fn other_methods_failures_and_requests_that_are_none_are_ignored() {
        let request = |request: &str| COMMON.replace("GET /a HTTP/1.1", request);
        let no_page = [
            101, 199, 201, 202, 204, 205, 206, 226, 300, 301, 302, 303, 307, 308, 400, 401, 404, 410, 416, 499, 500,
            503,
        ];
        let mut lines = vec![
            String::new(),
            request("POST /a HTTP/1.1"),
            request("HEAD /a HTTP/1.1"),
            request("OPTIONS * HTTP/1.0"),
            request("OPTIONS /a HTTP/1.1"),
            request("get /a HTTP/1.1"),
            request("-"),
            request(""),
            request(r"\x16\x03\x01\x00\xEE"),
            request("GET"),
            request("GET  HTTP/1.1"),
            request("GET /style.css HTTP/1.1"),
        ];
        lines.extend(no_page.map(|status| COMMON.replace("200", &status.to_string())));
        for line in lines {
            assert_eq!(see_one(line.as_bytes(), &LogOptions::default()), (Seen::Ignored, None), "{line}");
        }
    }

    #[test]
    fn what_is_no_line_of_a_log_is_bad() {
        let lines = [
            "hello",
            "\"GET /a HTTP/1.1\" 200 5",
            "203.0.113.9 - - [10/Oct/2025:13:55:36 +0000] GET /a HTTP/1.1 200 2326",
            "203.0.113.9 - - [10/Oct/2025:13:55:36 +0000] \"GET /a HTTP/1.1 200 2326",
            "203.0.113.9 - - [10/Oct/2025:13:55:36 +0000] \"GET /a\\\" 200 2326",
            "203.0.113.9 - - [10/Oct/2025:13:55:36 +0000] \"GET /a HTTP/1.1\" - 2326",
            "203.0.113.9 - - [10/Oct/2025:13:55:36 +0000] \"GET /a HTTP/1.1\" 2000 2326",
            "203.0.113.9 - - 10/Oct/2025:13:55:36 +0000] \"GET /a HTTP/1.1\" 200 2326",
        ];
        for line in lines {
            let seen = see_one(line.as_bytes(), &LogOptions::default()).0;
            assert!(matches!(seen, Seen::Bad(Reason::Told(_))), "{line}: {seen:?}");
        }
    }

    #[test]
    fn bytes_that_are_no_utf_8_spoil_a_path_and_nothing_else() {
        let mut line = COMMON.as_bytes().to_vec();
        line[0] = 0xff;
        assert_eq!(see_one(&line, &LogOptions::default()).1.as_deref(), Some("a"));
        let at = COMMON.find("/a").unwrap() + 1;
        line[at] = 0xff;
        assert!(matches!(see_one(&line, &LogOptions::default()).0, Seen::Bad(Reason::Page(_))));
    }

    #[test]
    fn bots_count_as_bots_and_are_skipped_on_request() {
        let bot = format!(r#"{COMMON} "-" "Mozilla/5.0 (compatible; Googlebot/2.1)""#);
        let mut tally = Tally::new(Bounds::default());
        for line in [&bot, COMMON, &bot] {
            see(line.as_bytes(), &LogOptions::default(), &mut Verdicts::default(), &mut tally);
        }
        assert_eq!(tally.take().iter().map(|one| (one.visits, one.bots)).collect::<Vec<_>>(), [(3, 2)]);
        let options = LogOptions { skip_bots: true, ..LogOptions::default() };
        assert_eq!(see_one(bot.as_bytes(), &options), (Seen::Ignored, None));
        assert_eq!(see_one(COMMON.as_bytes(), &options).1.as_deref(), Some("a"), "a common line tells no agent");
    }

    #[test]
    fn visits_to_a_counter_are_found_by_method_and_pattern() {
        let options =
            LogOptions { pattern: "/visit/{page}".parse().unwrap(), method: LogMethod::Post, ..LogOptions::default() };
        let line = COMMON.replace("GET /a", "POST /visit/caf%C3%A9");
        assert_eq!(see_one(line.as_bytes(), &options).1.as_deref(), Some("café"));
        for status in ["200", "201", "202", "204"] {
            let line = line.replace("200", status);
            assert_eq!(see_one(line.as_bytes(), &options).1.as_deref(), Some("café"), "{line}");
        }
        for line in [COMMON.to_owned(), line.replace("200", "206"), line.replace("200", "303")] {
            assert_eq!(see_one(line.as_bytes(), &options), (Seen::Ignored, None), "{line}");
        }
    }
}
