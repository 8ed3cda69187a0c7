//! The API's description against what the functions answer. That it is true of the running system is for `tests/system` to find out.

use super::*;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

const DOCUMENT: &str = include_str!("../../../assets/openapi.json");

fn document() -> Value {
    serde_json::from_str(DOCUMENT).unwrap()
}

/// Methods and paths, but what browsers ask on their own (`OPTIONS`), which no route table names.
fn described() -> BTreeSet<(String, String)> {
    let document = document();
    let paths = document["paths"].as_object().unwrap();
    let operations = paths.iter().flat_map(|(path, item)| {
        let methods = item.as_object().unwrap().keys().filter(|key| !["parameters", "options"].contains(&key.as_str()));
        methods.map(|method| (method.to_uppercase(), path.clone()))
    });
    operations.collect()
}

/// The routes in a function's source: its tests apart, every `Route::new("METHOD", "/path"`.
fn routes_in_source(function: &str) -> BTreeSet<(String, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(function).join("src");
    let sources = sources(&folder);
    let text: String = sources.iter().map(|file| fs::read_to_string(file).unwrap()).collect();
    let routes = text.split("Route::new(").skip(1).filter_map(|rest| {
        let mut texts = rest.split('"').skip(1).step_by(2);
        Some((texts.next()?.to_owned(), texts.next()?.to_owned()))
    });
    routes.collect()
}

fn sources(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let found = entries.flat_map(|path| match path.file_stem().and_then(|name| name.to_str()) {
        Some("tests") => Vec::new(),
        _ if path.is_dir() => sources(&path),
        _ => vec![path],
    });
    found.collect()
}

#[test]
fn every_route_is_described_and_nothing_else() {
    let ours: BTreeSet<_> =
        ROUTES.routes.iter().map(|route| (route.method.to_owned(), route.path.to_owned())).collect();
    assert_eq!(routes_in_source("dashboard"), ours, "the sources are read right");
    let mut answered = ours;
    for function in ["record-visit", "get-visits"] {
        let routes = routes_in_source(function);
        assert!(!routes.is_empty(), "{function}");
        answered.extend(routes);
    }
    assert_eq!(described(), answered);
}

#[test]
fn what_is_the_owners_alone_says_so() {
    let document = document();
    for route in ROUTES.routes {
        let operation = &document["paths"][route.path][route.method.to_lowercase()];
        let open = !is_owners(route.action);
        let expected = match route.action {
            Action::WhoAmI => json!([{}, {"token": []}, {"session": []}]),
            _ if open => json!([]),
            _ => json!([{"token": []}, {"session": []}]),
        };
        assert_eq!(operation["security"], expected, "{} {}", route.method, route.path);
        assert_eq!(operation["responses"]["401"].is_null(), open && route.action != Action::Login);
    }
}

#[test]
fn every_reference_leads_somewhere() {
    let document = document();
    for reference in DOCUMENT.split("\"$ref\": \"#").skip(1).map(|rest| rest.split('"').next().unwrap()) {
        assert!(document.pointer(reference).is_some(), "{reference}");
    }
    assert!(DOCUMENT.contains("\"$ref\": \"#"));
}

#[test]
fn examples_of_problems_have_a_kind_that_is_listed_and_the_status_of_their_place() {
    let document = document();
    let responses = document["components"]["responses"].as_object().unwrap();
    let problem = |response: &Value| response["content"]["application/problem+json"].clone();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap().iter().filter(|(key, _)| *key != "parameters") {
            for (status, response) in operation["responses"].as_object().unwrap() {
                let name = response["$ref"].as_str().and_then(|name| name.rsplit('/').next());
                let Some(problem) = name.map(|name| problem(&responses[name])).filter(Value::is_object) else {
                    continue;
                };
                let (example, place) = (&problem["example"], format!("{method} {path} {status}"));
                let kinds = problem["schema"]["properties"]["type"]["enum"].as_array().unwrap();
                assert!(kinds.contains(&example["type"]), "{place}: {example}");
                assert_eq!(example["status"].to_string(), *status, "{place}");
            }
        }
    }
}

#[test]
fn as_many_days_may_be_asked_for_as_may_be_kept() {
    let document = document();
    for path in ["/summary", "/top", "/history/{page_id}"] {
        let parameters = document["paths"][path]["get"]["parameters"].as_array().unwrap();
        let days = parameters.iter().find(|parameter| parameter["name"] == "days").unwrap();
        assert_eq!(days["schema"]["maximum"], visits_core::config::MAX_HISTORY_DAYS, "{path}");
    }
}
