//! Which event source a request came through, and so what its path looks like.
//!
//! The answer rests on `requestContext` alone, which the event source fills in; headers are the client's.

use super::event::Request;

/// Whether the path still has to be percent-decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PathForm {
    /// By an API Gateway HTTP API, which has decoded it.
    Decoded,
    /// By a function URL or by `cargo lambda watch`, which hand it over as the client wrote it.
    Encoded,
}

/// The domain that `cargo lambda watch` reports for every request.
const EMULATOR: &str = "localhost";

/// What the domains of function URLs end with, in AWS's public regions and in China.
const URL_DOMAINS: [&str; 2] = [".on.aws", ".on.amazonwebservices.com.cn"];

impl Request {
    /// Whether it came through `cargo lambda watch`. On AWS no request reports that domain.
    pub fn is_local(&self) -> bool {
        self.domain.as_deref() == Some(EMULATOR)
    }
}

pub(super) fn path_form(request: &Request) -> PathForm {
    match request.domain.as_deref() {
        Some(domain) if request.is_local() || is_function_url(domain) => PathForm::Encoded,
        _ => PathForm::Decoded,
    }
}

/// The API's stage, unless it is the one that leaves no mark in the path.
pub(super) fn stage(request: &Request) -> Option<&str> {
    request.stage.as_deref().filter(|stage| *stage != "$default")
}

/// `<id>.lambda-url.<region>.on.aws`. Without regard to case and to a root dot, in case that AWS should ever
/// repeat the domain as the client wrote it.
fn is_function_url(domain: &str) -> bool {
    let domain = domain.trim_end_matches('.').to_ascii_lowercase();
    let name = URL_DOMAINS.iter().find_map(|suffix| domain.strip_suffix(suffix));
    let Some((service, region)) = name.and_then(|name| name.rsplit_once('.')) else { return false };
    !region.is_empty() && service.strip_suffix(".lambda-url").is_some_and(|id| !id.is_empty() && !id.contains('.'))
}

#[cfg(test)]
mod tests {
    use super::is_function_url;

    #[test]
    fn only_domains_of_function_urls_count_as_such() {
        for domain in [
            "abc.lambda-url.eu-west-2.on.aws",
            "ABC.Lambda-URL.eu-west-2.on.aws.",
            "abc.lambda-url.cn-north-1.on.amazonwebservices.com.cn",
        ] {
            assert!(is_function_url(domain), "{domain}");
        }
        for domain in [
            "abc.execute-api.eu-west-2.amazonaws.com",
            "visits.example.org",
            "localhost",
            "",
            ".lambda-url.eu-west-2.on.aws",
            "abc.lambda-url..on.aws",
            "abc.lambda-url.on.aws",
            "abc.lambda-url.eu-west-2.on.aws.example.org",
            "abc.lambda-url.eu-west-2.example.org",
            "abc.notlambda-url.eu-west-2.on.aws",
            "a.b.lambda-url.eu-west-2.on.aws",
        ] {
            assert!(!is_function_url(domain), "{domain}");
        }
    }
}
