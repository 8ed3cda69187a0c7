//! One flush: exactly once through the script, side by side with the plain increments that it replaces.

mod days;
mod measure;

use crate::effort::Effort;
use crate::figures::{Axis, Goal, Group, Plot, Row, Series};
use measure::{Cost, Costs, Measured, WithDays};
use serde_json::json;
use test_support::RedisServer;
use visits_core::batch::MAX_BATCH_PAGES;

/// Pages in a batch, for the curves.
const SIZES: [usize; 6] = [1, 10, 50, 100, 250, MAX_BATCH_PAGES];

/// Measures it.
pub fn run(effort: Effort) -> Group {
    let rounds = effort.choose(30, 3);
    let mut measured = Measured::new(RedisServer::start());
    let curve: Vec<Costs> = SIZES.iter().map(|&pages| measured.compare(pages, rounds)).collect();
    let full = &curve[SIZES.len() - 1];
    let single = measured.one_by_one(MAX_BATCH_PAGES, effort.choose(7, 1));
    let days = Measured::new(RedisServer::start()).compare_days(MAX_BATCH_PAGES, rounds);
    let first = Measured::new(RedisServer::start()).compare_first_of_days(MAX_BATCH_PAGES, rounds);
    let logged = RedisServer::builder().append_only(true).start();
    let logged = Measured::new(logged).compare(MAX_BATCH_PAGES, rounds);
    Group {
        id: "flush".into(),
        title: "One flush of 500 pages".into(),
        compared_with: "500 pipelined INCRBY, which count twice what is sent twice".into(),
        rows: [rows(full, single, &logged), rows_with_days(&days, &first)].concat(),
        plots: plots(&curve),
        notes: notes(rounds),
        raw: json!({ "pages": SIZES, "curve": curve, "one_by_one": single, "append_only": logged, "days": days, "first_of_days": first }),
        ..Group::default()
    }
}

fn rows(full: &Costs, single: Cost, logged: &Costs) -> Vec<Row> {
    let wall = |what: &str, costs: &Costs, goal| Row::compared(what, "us", costs.ours.wall, costs.plain.wall, goal);
    let cpu = |what: &str, costs: &Costs, goal| Row::compared(what, "ns", costs.ours.cpu, costs.plain.cpu, goal);
    vec![
        wall("A flush, from call to answer", full, Some(Goal::AtMost(1.0))),
        cpu("Redis CPU for each increment", full, Some(Goal::AtMost(2.0))),
        wall("A flush, with an append-only file", logged, None),
        cpu("Redis CPU for each increment, with an append-only file", logged, None),
        Row::compared("A flush, against 500 INCRBY one after the other", "us", full.ours.wall, single.wall, None),
        Row::compared("Redis CPU, against 500 INCRBY one after the other", "ns", full.ours.cpu, single.cpu, None),
    ]
}

/// Costs of the owner's statistics, against the same flush without.
fn rows_with_days(days: &WithDays, first: &WithDays) -> Vec<Row> {
    let both = |what: &str, WithDays { costs, fold }: &WithDays| {
        let goal = Some(Goal::AtMost(1.2));
        let (ours, plain) = (costs.ours, costs.plain);
        [
            Row::compared(format!("{what}, against one without"), "us", ours.wall, plain.wall, goal),
            Row::compared(format!("{what}: Redis CPU for each page"), "ns", ours.cpu, plain.cpu, goal),
            Row::compared(
                format!("{what}, and its fold: Redis CPU for each page"),
                "ns",
                ours.cpu + fold,
                plain.cpu,
                None,
            ),
        ]
    };
    [both("A flush with statistics", days), both("A day's first flush", first)].concat()
}

fn plots(curve: &[Costs]) -> Vec<Plot> {
    let series = |name: &str, figure: fn(&Costs) -> f64| Series {
        name: name.into(),
        points: curve.iter().map(|costs| (costs.pages, figure(costs))).collect(),
    };
    let plot = |id: &str, title: &str, y: &str, series| {
        Plot::new(id, title, Axis::log("pages in the batch"), Axis::log(y), series)
    };
    let wall =
        vec![series("exactly once", |costs| costs.ours.wall), series("pipelined INCRBY", |costs| costs.plain.wall)];
    let cpu = vec![series("exactly once", |costs| costs.ours.cpu), series("pipelined INCRBY", |costs| costs.plain.cpu)];
    vec![
        plot("flush-wall", "A flush, from call to answer", "us", wall),
        plot("flush-cpu", "Redis CPU for each increment", "ns", cpu),
    ]
}

fn notes(rounds: usize) -> Vec<String> {
    vec![
        format!(
            "Both run in turn over one connection each to one server, {rounds} rounds of up to 10,000 increments for \
             each size; all pages are there before, and the figures are medians over the rounds."
        ),
        "Redis CPU is used_cpu_user + used_cpu_sys of INFO before and after a round.".into(),
        "With statistics each page has one or two visitors in a flush, out of 10,000 a day for the first page and an n-th of them \
         for the n-th; every tenth has a bot. Such flushes and those without run in turn, too, and a fold follows each round: \
         of 20 flushes of one day, or of the first flushes of 20 days."
            .into(),
        "Small batches: the script's fixed work (arguments checked, the applied set read and written, two sorted sets) \
         is shared by few increments."
            .into(),
        "Page ids have 21 bytes, keys of ours 46: above 44 bytes Redis makes one more allocation for each, some 36 ns.".into(),
        "Large batches: the script reads one command and writes one answer where the pipeline has 500 of each; what is \
         left is the cost of redis.call, and of a hash instead of a string."
            .into(),
    ]
}
