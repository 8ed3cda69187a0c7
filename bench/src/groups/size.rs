//! Sizes of what is deployed.

use crate::effort::Effort;
use crate::figures::{Axis, Goal, Group, Plot, PlotKind, Row, Series};
use serde_json::json;
use std::fs;
use std::path::{Path, PathBuf};
use test_support::release_program;

/// The three functions; the last is held to no bound, since it carries the AWS SDK.
const FUNCTIONS: [&str; 3] = ["record-visit", "get-visits", "flush-visits"];

const MB: f64 = 1e6;

/// Reads the sizes of the binaries of this machine, and of the arm64 zips where `cargo lambda` has built them.
pub fn run(_: Effort) -> Group {
    let bare = size(&release_program("examples/bare")).unwrap_or(f64::NAN);
    let mut group = Group::new("size", "Size", "bare handler", &NOTES);
    for (index, name) in FUNCTIONS.into_iter().enumerate() {
        let bound = |bytes| (index < 2).then_some(Goal::AtMost(bytes));
        let program = size(&release_program(name)).unwrap_or(f64::NAN);
        let mut row = Row::compared(format!("{name}: binary, stripped"), "bytes", program, bare, None);
        row.ratio = None;
        row.goal = bound(4.0 * MB);
        group.rows.push(row);
        // `make bench` builds no zip of `flush-visits`, which takes minutes.
        if let Some(zip) = size(&zip(name)).filter(|_| index < 2) {
            group.rows.push(Row::alone(format!("{name}: zip for arm64"), "bytes", zip, bound(1.9 * MB)));
        }
        group.raw[name] = json!({ "program": program });
    }
    let names = FUNCTIONS.into_iter().chain(["bare handler"]);
    let sizes = group.rows.iter().filter(|row| row.other.is_some()).map(|row| row.ours / MB).chain([bare / MB]);
    let sizes = Series::bars("", sizes);
    group.plots.push(Plot {
        id: "size".into(),
        title: "Stripped binaries".into(),
        kind: PlotKind::Bars,
        x: Axis::named(names),
        y: Axis::linear("MB"),
        series: vec![sizes],
    });
    group
}

const NOTES: [&str; 1] = ["TLS to Redis is in all three; `flush-visits` carries the AWS SDK with a TLS of its own."];

fn zip(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/lambda").join(name).join("bootstrap.zip")
}

fn size(file: &Path) -> Option<f64> {
    #[expect(clippy::cast_precision_loss, reason = "fewer than 2^52 bytes")]
    fs::metadata(file).ok().map(|data| data.len() as f64)
}
