//! Who may call, for which pages, and where the owner's token comes from.

use super::mask::masked;
use crate::shard::{PasswordError, PasswordSource};
use std::fmt;

/// Origins that may call from a browser (`VISITS_ORIGINS`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origins {
    /// Any.
    Any,
    /// These, as browsers write them: scheme and host in lower case, no slash at the end. `*.` before a host stands for one
    /// or more labels, so not for the host itself.
    Only(Vec<String>),
}

impl Origins {
    /// Whether a browser may call from this origin, which is written as browsers do.
    pub fn allow(&self, origin: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Only(origins) => origins.iter().any(|allowed| is_origin(allowed, origin)),
        }
    }
}

/// Tells whether an origin is the allowed one, or one of those that it stands for.
fn is_origin(allowed: &str, origin: &str) -> bool {
    let Some((scheme, host)) = allowed.split_once("*.") else { return allowed == origin };
    let labels = origin.strip_prefix(scheme).and_then(|rest| rest.strip_suffix(host)?.strip_suffix('.'));
    // A forged referrer may have anything there, such as the end of its own host, and a slash.
    let is_label = |label: &str| {
        !label.is_empty() && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
    };
    labels.is_some_and(|labels| labels.split('.').all(is_label))
}

/// The pages that may be counted (`VISITS_PAGES`): patterns, in which `*` stands for any characters.
#[derive(Clone, PartialEq, Eq)]
pub struct PagePatterns(Vec<String>);

impl fmt::Debug for PagePatterns {
    /// Any text is a pattern, also a URL with a password that landed in the wrong variable.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("PagePatterns").field(&masked(&self.0.join(","))).finish()
    }
}

impl PagePatterns {
    /// One pattern; a comma in it stands for itself.
    pub fn one(pattern: &str) -> Result<Self, &'static str> {
        if pattern.is_empty() { Err("the pattern is empty") } else { Ok(Self(vec![pattern.to_owned()])) }
    }

    /// Whether a page may be counted. Paths begin with a slash and page ids do not, so that of a pattern may be left out.
    ///
    /// ```
    /// # use visits_core::config::PagePatterns;
    /// let patterns: PagePatterns = "home, blog/*".parse()?;
    /// assert!(patterns.allow("blog/2026/visits") && !patterns.allow("blog"));
    /// # Ok::<(), &str>(())
    /// ```
    pub fn allow(&self, page: &str) -> bool {
        let matches = |pattern: &str| matches(pattern.as_bytes(), page.as_bytes());
        self.0.iter().any(|pattern| matches(pattern) || pattern.strip_prefix('/').is_some_and(matches))
    }
}

/// Whether `text` is `pattern`, in which `*` stands for any bytes. Takes the product of both lengths at most.
fn matches(pattern: &[u8], text: &[u8]) -> bool {
    let (mut p, mut t, mut star) = (0, 0, None);
    while t < text.len() {
        match (pattern.get(p), star) {
            (Some(b'*'), _) => {
                star = Some((p, t));
                p += 1;
                // The last star takes all that is left.
                if p == pattern.len() {
                    return true;
                }
            }
            (Some(byte), _) if *byte == text[t] => {
                p += 1;
                t += 1;
            }
            // The last star takes one byte more.
            (_, Some((at, taken))) => {
                star = Some((at, taken + 1));
                p = at + 1;
                t = taken + 1;
            }
            _ => return false,
        }
    }
    pattern[p..].iter().all(|byte| *byte == b'*')
}

impl std::str::FromStr for PagePatterns {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        let patterns: Vec<String> = text.split(',').map(|pattern| pattern.trim().to_owned()).collect();
        if patterns.iter().any(String::is_empty) { Err("a pattern is empty") } else { Ok(Self(patterns)) }
    }
}

impl std::str::FromStr for Origins {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        if text == "*" {
            return Ok(Self::Any);
        }
        text.split(',').map(|origin| parse_origin(origin.trim())).collect::<Result<_, _>>().map(Self::Only)
    }
}

/// RFC 6454, section 6.2: scheme, host and, if it is not the scheme's own, port. `*.` may stand before the host.
fn parse_origin(text: &str) -> Result<String, &'static str> {
    let subdomains = text.contains("://*.");
    let url: url::Url = text.replacen("://*.", "://", 1).parse().map_err(|_| "an entry is no origin")?;
    let origin = url.origin();
    if !matches!(url.scheme(), "http" | "https") || !origin.is_tuple() {
        return Err("an origin begins with http:// or https://");
    }
    let bare = url.path() == "/" && url.query().is_none() && url.fragment().is_none() && url.username().is_empty();
    if !bare {
        return Err("an origin ends behind its host and port");
    }
    // Browsers write none of these, so that nothing would ever be allowed.
    let origin = origin.ascii_serialization();
    if origin.contains('*') {
        return Err("a * stands alone, for any origin, or before a host, as *. in https://*.example.org");
    }
    match url.host() {
        Some(url::Host::Domain(host)) if host.ends_with('.') => Err("a host ends without a dot"),
        Some(url::Host::Domain(_)) if subdomains => Ok(origin.replacen("://", "://*.", 1)),
        _ if subdomains => Err("behind *. stands a host's name"),
        _ => Ok(origin),
    }
}

/// Where the owner's token comes from (`VISITS_OWNER_TOKEN`). None: nobody is the owner over HTTP. Whether this program can
/// read it is asked by who does: all functions have the same variables.
pub(super) fn owner_token(text: &str) -> Result<Option<PasswordSource>, &'static str> {
    let (key, value) = match text.split_once(':') {
        None if text == "off" => return Ok(None),
        Some(("file", path)) => ("password-file", path),
        Some(("secret", id)) => ("password-secret", id),
        _ => return Err("neither off nor a place; the token itself is not written here"),
    };
    match PasswordSource::from_option(key, value) {
        Some(Ok(source)) => Ok(Some(source)),
        Some(Err(PasswordError::Path)) => Err("the path of the file begins with /"),
        _ => Err("the name or ARN of a secret is wanted, and #key after it for a member of its JSON"),
    }
}

#[cfg(test)]
mod tests {
    use super::{Origins, PagePatterns, owner_token};

    #[test]
    fn a_pattern_allows_what_it_says_and_nothing_else() {
        let table = [
            ("*", "anything/é", true),
            ("home", "home", true),
            ("home", "home/", false),
            ("blog/*", "blog/", true),
            ("blog/*", "blog", false),
            ("*.html", "a/b.html", true),
            ("*.html", "a.html?", false),
            ("a*b*c", "a-b-b-c", true),
            ("a*b*c", "a-c-b", false),
            ("a, b", "b", true),
            ("/blog/*", "blog/first", true),
            ("/blog/*", "/blog/first", true),
            ("/", "/", true),
            ("/", "home", false),
            ("**", "", true),
        ];
        for (patterns, page, allowed) in table {
            assert_eq!(patterns.parse::<PagePatterns>().unwrap().allow(page), allowed, "{patterns} {page}");
        }
    }

    #[test]
    fn a_password_in_the_wrong_variable_is_not_shown() {
        for text in ["a=redis://app:s3cret@h:7070", "a=redis://h,b=redis://app:s3cret@h", "redis://:s3cret@h;weight=1"]
        {
            let shown = format!("{:?}", text.parse::<PagePatterns>().unwrap());
            assert!(!shown.contains("s3cret") && shown.contains("redis://"), "{shown}");
        }
        assert_eq!(format!("{:?}", "home, blog/*".parse::<PagePatterns>().unwrap()), r#"PagePatterns("home,blog/*")"#);
    }

    #[test]
    fn an_origin_is_read_as_browsers_write_it() {
        let read = "HTTPS://Example.org , http://localhost:8080,https://a.test:443/".parse::<Origins>();
        let expected = ["https://example.org", "http://localhost:8080", "https://a.test"].map(str::to_owned);
        assert_eq!(read, Ok(Origins::Only(expected.to_vec())));
        for wrong in
            ["", "example.org", "ftp://a.test", "https://a.test/x", "https://a.test?q", "https://u@a.test", "null"]
        {
            assert!(wrong.parse::<Origins>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn an_origin_may_stand_for_all_subdomains_of_a_host() {
        let origins: Origins = "https://*.Example.org:443,http://*.a.test:8080,https://*.bücher.test".parse().unwrap();
        for (origin, allowed) in [
            ("https://www.example.org", true),
            ("https://a.b-c_d.example.org", true),
            ("http://x.a.test:8080", true),
            ("https://x.xn--bcher-kva.test", true),
            ("https://example.org", false),
            ("http://www.example.org", false),
            ("https://www.example.org:8443", false),
            ("http://x.a.test", false),
            ("https://.example.org", false),
            ("https://evil.test/.example.org", false),
            ("https://evil.test:443.example.org", false),
            ("https://u@evil.test?.example.org", false),
            ("https://www.example.org.evil.test", false),
            ("https://wwwexample.org", false),
            ("https://*.example.org", false),
        ] {
            assert_eq!(origins.allow(origin), allowed, "{origin}");
        }
    }

    #[test]
    fn what_no_browser_will_ever_send_is_refused_at_the_start_with_what_is_accepted() {
        for (wrong, reason) in [
            ("https://*", "a * stands alone"),
            ("https://a.test,*", "an entry is no origin"),
            ("https://www.*.test", "a * stands alone"),
            ("https://*.*.test", "a * stands alone"),
            ("https://*www.a.test", "a * stands alone"),
            ("https://%2a.a.test", "a * stands alone"),
            ("*.a.test", "an entry is no origin"),
            ("*://a.test", "an entry is no origin"),
            ("http://localhost:*", "an entry is no origin"),
            ("https://*.192.0.2.1", "a host's name"),
            ("https://*.[::1]", "a host's name"),
            ("https://*.a.test/x", "ends behind its host"),
            ("https://a.test.", "without a dot"),
        ] {
            let told = wrong.parse::<Origins>().unwrap_err();
            assert!(told.contains(reason), "{wrong}: {told}");
        }
    }

    #[test]
    fn the_owners_token_comes_from_a_place_and_is_never_written_into_the_setting() {
        assert_eq!(owner_token("off"), Ok(None));
        assert!(owner_token("file:/run/token").unwrap().is_some());
        assert!(owner_token("secret:site/owner#token").unwrap().is_some(), "whether or not it can be read");
        for wrong in ["", "hunter2", "file:token", "file:", "on", "secret:"] {
            assert!(owner_token(wrong).is_err(), "{wrong}");
        }
    }
}
