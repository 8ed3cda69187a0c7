//! Placing pages on shards: how even, how stable and how fast, side by side with a ring of 160 points.

pub mod points;

use crate::effort::Effort;
use crate::figures::{Axis, Goal, Group, Plot, Row, Series};
use crate::statistics::median;
use points::PointRing;
use serde_json::json;
use std::hint::black_box;
use std::time::Instant;
use visits_core::ring::Ring;
use visits_core::shard::Weight;

/// Numbers of shards.
const SHARDS: [usize; 3] = [2, 8, 64];

/// Number of shards to which one is added.
const GROWING: usize = 8;

/// Keys that are placed again and again to time it: they stay in the processor's cache, which is what is left of
/// a key that was just read from a request.
const TIMED: usize = 4_096;

/// Rendezvous hashing and the ring of points: (ours, theirs).
type Pair = (f64, f64);

/// Measures it.
pub fn run(effort: Effort) -> Group {
    let keys: Vec<String> = (0..effort.choose(1_000_000, 100_000)).map(|key| format!("page-{key}")).collect();
    let names = effort.choose(5, 1);
    let even: Vec<Pair> = SHARDS.iter().map(|&shards| middle(names, |set| unevenness(&keys, set, shards))).collect();
    let moved = middle(names, |set| moved(&keys, set));
    let timed = &keys[..TIMED];
    let nanos: Vec<Pair> =
        SHARDS.iter().map(|&shards| middle(effort.choose(15, 3), |_| nanos(timed, shards, effort))).collect();
    Group {
        id: "placing".into(),
        title: format!("Placing {} pages on shards", keys.len()),
        compared_with: "a consistent-hash ring with 160 points for each shard".into(),
        rows: rows(&even, moved, &nanos),
        plots: plots(&even, &nanos),
        notes: notes(names),
        raw: json!({ "shards": SHARDS, "peak_to_average": even, "moved_to_ideal": moved, "nanoseconds": nanos }),
        ..Group::default()
    }
}

/// Two rings of the same names.
fn rings(set: usize, shards: usize) -> (Ring, PointRing) {
    let names: Vec<String> = (0..shards).map(|shard| format!("redis_{}", 7070 + 100 * set + shard)).collect();
    let weighted = names.iter().map(|name| (name.parse().expect("this is a shard's name"), Weight::default()));
    (Ring::new(weighted).expect("the names differ"), PointRing::new(&names))
}

/// Pages of the fullest shard against the average.
fn unevenness(keys: &[String], set: usize, shards: usize) -> Pair {
    let (ring, points) = rings(set, shards);
    let peak = |owner: &dyn Fn(&str) -> usize| {
        let mut owned = vec![0_u32; shards];
        for key in keys {
            owned[owner(key)] += 1;
        }
        f64::from(owned.into_iter().max().unwrap_or(0)) / share(keys, shards)
    };
    (peak(&|key| ring.owner(key)), peak(&|key| points.owner(key)))
}

/// Pages that another shard owns once there is one more, against the new one's fair share.
fn moved(keys: &[String], set: usize) -> Pair {
    let (before, after) = (rings(set, GROWING), rings(set, GROWING + 1));
    let mut moved = (0, 0);
    for key in keys {
        moved.0 += u32::from(before.0.owner(key) != after.0.owner(key));
        moved.1 += u32::from(before.1.owner(key) != after.1.owner(key));
    }
    let ideal = share(keys, GROWING + 1);
    (f64::from(moved.0) / ideal, f64::from(moved.1) / ideal)
}

/// A fair share of the keys.
fn share(keys: &[String], shards: usize) -> f64 {
    keys.len() as f64 / shards as f64
}

/// Time to place a key, in ns.
fn nanos(keys: &[String], shards: usize, effort: Effort) -> Pair {
    let (ring, points) = rings(0, shards);
    let rounds = effort.choose(20, 5);
    let time = |owner: &dyn Fn()| {
        let began = Instant::now();
        (0..rounds).for_each(|_| owner());
        began.elapsed().as_secs_f64() * 1e9 / f64::from(rounds) / share(keys, 1)
    };
    let ours = time(&|| keys.iter().for_each(|key| _ = black_box(ring.owner(black_box(key)))));
    let theirs = time(&|| keys.iter().for_each(|key| _ = black_box(points.owner(black_box(key)))));
    (ours, theirs)
}

/// The medians of `times` measurements.
fn middle(times: usize, measure: impl Fn(usize) -> Pair) -> Pair {
    let (ours, theirs): (Vec<f64>, Vec<f64>) = (0..times).map(measure).unzip();
    (median(&ours), median(&theirs))
}

fn rows(even: &[Pair], moved: Pair, nanos: &[Pair]) -> Vec<Row> {
    let row = |what: String, unit: &str, pair: Pair, goal| Row {
        // Unevenness and moves have an ideal of their own: 1.
        ratio: (unit == "ns").then_some(pair.0 / pair.1),
        ..Row::compared(what, unit, pair.0, pair.1, goal)
    };
    let peaks = SHARDS.iter().zip(even).map(|(shards, pair)| {
        let goal = (*shards == GROWING).then_some(Goal::AtMost(1.01));
        row(format!("Fullest of {shards} shards, against the average"), "ratio", *pair, goal)
    });
    let growing = format!("Pages moved by one more than {GROWING} shards, against its share");
    let growing = row(growing, "ratio", moved, Some(Goal::AtMost(1.02)));
    let times = SHARDS.iter().zip(nanos);
    let times = times.map(|(shards, pair)| row(format!("To place a page on {shards} shards"), "ns", *pair, None));
    peaks.chain([growing]).chain(times).collect()
}

fn plots(even: &[Pair], nanos: &[Pair]) -> Vec<Plot> {
    let series = |name: &str, pairs: &[Pair], of: fn(&Pair) -> f64| Series {
        name: name.into(),
        points: SHARDS.iter().zip(pairs).map(|(shards, pair)| (*shards as f64, of(pair))).collect(),
    };
    let both = |pairs| {
        vec![series("rendezvous hashing", pairs, |pair| pair.0), series("ring of 160 points", pairs, |pair| pair.1)]
    };
    let plot = |id: &str, title: &str, y: Axis, pairs| Plot::new(id, title, Axis::log("shards"), y, both(pairs));
    vec![
        plot("placing-even", "Fullest shard, against the average", Axis::linear("peak / average"), even),
        plot("placing-time", "Time to place a page", Axis::log("ns"), nanos),
    ]
}

fn notes(names: usize) -> Vec<String> {
    vec![
        format!("Unevenness and moves are medians over {names} sets of shard names; both hash with XXH3-64."),
        format!("The times are those of a loop over {TIMED} keys in the processor's cache, both in turn."),
        "Rendezvous hashing is as even as chance: with more shards each has fewer pages, and the fullest of more is \
         farther from the average."
            .into(),
        "It scores every shard for every key, so its time grows with them; the ring's grows with their logarithm, and \
         each step of its search is a branch that cannot be foreseen."
            .into(),
    ]
}
