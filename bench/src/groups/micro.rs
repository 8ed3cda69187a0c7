//! The pure parts one by one, as `cargo bench` (criterion) has measured them.

use crate::effort::Effort;
use crate::figures::{Axis, Group, Plot, Row, Series};
use crate::subject::cargo;
use serde_json::{Value, json};
use std::fs;
use std::path::Path;
use std::process::Stdio;

/// Has criterion measure, and reads its estimates.
///
/// # Panics
/// If it measures nothing.
pub fn run(_: Effort) -> Group {
    let mut bench = cargo();
    bench.args(["bench", "--quiet", "--package", "visits-bench", "--bench", "micro", "--", "--quiet"]);
    let status = bench.stdout(Stdio::null()).status();
    assert!(status.is_ok_and(|status| status.success()), "criterion cannot measure");
    let mut found = Vec::new();
    collect(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/criterion"), &mut found);
    assert!(!found.is_empty(), "criterion has left no figures");
    found.sort_by(|(left, _), (right, _)| left.cmp(right));
    let placing: Vec<(&str, f64)> =
        found.iter().filter_map(|(name, nanos)| Some((name.strip_prefix("place a page/")?, *nanos))).collect();
    Group {
        id: "micro".into(),
        title: "The pure parts".into(),
        rows: found.iter().map(|(name, nanos)| Row::alone(name.clone(), "ns", *nanos, None)).collect(),
        plots: vec![Plot::new(
            "micro",
            "To place a page: method and shards",
            Axis::named(placing.iter().map(|(name, _)| *name)),
            Axis::linear("ns"),
            vec![Series::bars("", placing.iter().map(|(_, nanos)| *nanos))],
        )],
        notes: vec!["Medians by criterion.".into()],
        raw: json!(found.iter().map(|(name, nanos)| json!({ "name": name, "ns": nanos })).collect::<Vec<_>>()),
        ..Group::default()
    }
}

/// The benchmarks below a folder, each with its median.
fn collect(folder: &Path, found: &mut Vec<(String, f64)>) {
    let folders = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    for folder in folders.filter(|path| path.is_dir()) {
        match figure(&folder) {
            Some(figure) if folder.ends_with("new") => found.push(figure),
            _ => collect(&folder, found),
        }
    }
}

fn figure(folder: &Path) -> Option<(String, f64)> {
    let read = |file: &str| -> Option<Value> { serde_json::from_slice(&fs::read(folder.join(file)).ok()?).ok() };
    let name = read("benchmark.json")?["full_id"].as_str()?.to_owned();
    Some((name, read("estimates.json")?["median"]["point_estimate"].as_f64()?))
}
