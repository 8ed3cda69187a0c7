//! Sizes of what is deployed.

use crate::effort::Effort;
use crate::figures::{Axis, Goal, Group, Plot, Row, Series};
use crate::subject::{built, function};
use serde_json::json;
use std::fs;
use std::path::Path;
use std::process::Command;

/// The three functions; the last is held to no bound, since it carries the AWS SDK.
const FUNCTIONS: [&str; 3] = ["record-visit", "get-visits", "flush-visits"];

const MB: f64 = 1e6;

/// Builds the binaries for this machine, and in full also the zips for arm64, and reads their sizes.
///
/// # Panics
/// If one cannot be built.
pub fn run(effort: Effort) -> Group {
    let bare = size(&built("visits-bench", "--example", "bare"));
    let zips = effort == Effort::Full;
    if zips {
        let script = "set -e; . scripts/lib/tools.sh; package_tools; build_request_zips";
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let zipped = Command::new("bash").args(["-c", script]).current_dir(root).status();
        assert!(zipped.is_ok_and(|status| status.success()), "the zips for arm64 cannot be built");
    }
    let mut group = Group::new("size", "Size", "bare handler", &NOTES);
    for (index, name) in FUNCTIONS.into_iter().enumerate() {
        let bound = |bytes| (index < 2).then_some(Goal::AtMost(bytes));
        let program = size(&function(name));
        let mut row = Row::compared(format!("{name}: binary, stripped"), "bytes", program, bare, None);
        row.ratio = None;
        row.goal = bound(6.0 * MB);
        group.rows.push(row);
        // `make bench` builds no zip of `flush-visits`, which takes minutes.
        if zips && index < 2 {
            let zip =
                size(&Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../target/lambda/{name}/bootstrap.zip")));
            group.rows.push(Row::alone(format!("{name}: zip for arm64"), "bytes", zip, bound(2.6 * MB)));
        }
        group.raw[name] = json!({ "program": program });
    }
    let names = FUNCTIONS.into_iter().chain(["bare handler"]);
    let sizes = group.rows.iter().filter(|row| row.other.is_some()).map(|row| row.ours / MB).chain([bare / MB]);
    let sizes = Series::bars("", sizes);
    group.plots.push(Plot::new("size", "Stripped binaries", Axis::named(names), Axis::linear("MB"), vec![sizes]));
    group
}

const NOTES: [&str; 1] = ["TLS to Redis is in all three; `flush-visits` carries the AWS SDK with a TLS of its own."];

fn size(file: &Path) -> f64 {
    fs::metadata(file).unwrap_or_else(|error| panic!("{}: {error}", file.display())).len() as f64
}
