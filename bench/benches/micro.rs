//! What the counter's pure parts take, one by one: `cargo bench -p visits-bench`.

use criterion::{BatchSize, BenchmarkId, Criterion};
use std::hint::black_box;
use std::time::Duration;
use visits_bench::groups::placing::points::PointRing;
use visits_core::batch::{Batch, Content, Sequence, WriterId};
use visits_core::buffer::Buffer;
use visits_core::clock::Clock;
use visits_core::page::PageId;
use visits_core::ring::Ring;
use visits_core::shard::Weight;

fn main() {
    let criterion = Criterion::default().sample_size(20).warm_up_time(Duration::from_millis(300));
    let mut criterion = criterion.measurement_time(Duration::from_secs(1)).configure_from_args();
    placing(&mut criterion);
    page_ids(&mut criterion);
    buffer(&mut criterion);
    batches(&mut criterion);
    criterion.final_summary();
}

/// Many keys in turn: with one alone the processor learns how the search in the ring of points goes.
fn placing(criterion: &mut Criterion) {
    let keys: Vec<String> = (0..4_096).map(|key| format!("page-{key}")).collect();
    let mut group = criterion.benchmark_group("place a page");
    for shards in [2, 8, 64] {
        let names: Vec<String> = (0..shards).map(|shard| format!("redis_{}", 7070 + shard)).collect();
        let weighted = names.iter().map(|name| (name.parse().expect("this is a name"), Weight::default()));
        let (ring, points) = (Ring::new(weighted).expect("the names differ"), PointRing::new(&names));
        let mut keys = keys.iter().cycle();
        let mut next = move || keys.next().expect("they never end").as_str();
        group.bench_function(BenchmarkId::new("rendezvous", shards), |b| b.iter(|| ring.owner(black_box(next()))));
        group.bench_function(BenchmarkId::new("160 points", shards), |b| b.iter(|| points.owner(black_box(next()))));
    }
}

fn page_ids(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("page id");
    for (name, id) in [("plain", "articles/2026/rust-on-lambda"), ("escaped", "caf%C3%A9/a%20b/100%25")] {
        group
            .bench_function(BenchmarkId::new("from_decoded", name), |b| b.iter(|| PageId::from_decoded(black_box(id))));
        group
            .bench_function(BenchmarkId::new("from_encoded", name), |b| b.iter(|| PageId::from_encoded(black_box(id))));
    }
}

fn buffer(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("add a visit of a known page");
    for pages in [500, 10_000] {
        let known = known(pages);
        let mut buffer = Buffer::default();
        for page in &known {
            buffer.add(page.clone().into(), None);
        }
        let mut visited = known.iter().cycle();
        group.bench_function(BenchmarkId::from_parameter(pages), |b| {
            let page = || visited.next().expect("they never end").clone();
            b.iter_batched(page, |page| buffer.add(page.into(), None), BatchSize::SmallInput);
        });
    }
}

fn batches(criterion: &mut Criterion) {
    let increments: Vec<(PageId, u64)> = known(500).into_iter().zip(1..).collect();
    let batch = Batch::seal(Sequence::FIRST, increments, Clock::system().now());
    let bytes = batch.encode();
    let mut group = criterion.benchmark_group("batch");
    group.bench_function("encode 500 pages", |b| b.iter(|| black_box(&batch).encode()));
    group.bench_function("decode 500 pages", |b| b.iter(|| Content::decode(black_box(&bytes))));
    let writer = WriterId::from_u128(0x0123_4567_89ab_cdef_0123_4567_89ab_cdef);
    group.bench_function("format a writer's id", |b| b.iter(|| black_box(writer).to_string()));
}

fn known(pages: usize) -> Vec<PageId> {
    (0..pages).map(|page| PageId::from_decoded(&format!("articles/page-{page:07}")).expect("a page id")).collect()
}
