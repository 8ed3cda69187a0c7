//! The lines against the specification of `CloudWatch`'s embedded metric format.

use super::*;
use crate::clock::ManualClock;
use crate::config::Config;
use crate::telemetry::metrics::{ALL, BUFFER_AGE, REDIS_LATENCY, VISITS, VISITS_LOST};
use serde_json::{Value as Json, json};
use std::sync::Mutex;
use std::time::Duration;

/// The units that `CloudWatch` knows.
const UNITS: &str = "Seconds Microseconds Milliseconds Bytes Kilobytes Megabytes Gigabytes Terabytes Bits Kilobits Megabits \
    Gigabits Terabits Percent Count Bytes/Second Kilobytes/Second Megabytes/Second Gigabytes/Second Terabytes/Second \
    Bits/Second Kilobits/Second Megabits/Second Gigabits/Second Terabits/Second Count/Second None";

struct World {
    metrics: Metrics,
    lines: Arc<Mutex<Vec<String>>>,
    time: ManualClock,
}

fn world() -> World {
    let (lines, time) = (Arc::new(Mutex::new(Vec::new())), ManualClock::new());
    let config = Config::from_vars(|name| (name == "VISITS_METRICS").then(|| "VisitCounter/my-stack".into())).unwrap();
    let written = Arc::clone(&lines);
    let write = move |line: &str| written.lock().unwrap().push(line.to_owned());
    World { metrics: Metrics::to(config.metrics.unwrap(), time.clock(), write), lines, time }
}

impl World {
    /// The only line so far.
    fn line(&self) -> Json {
        let lines = self.lines.lock().unwrap();
        assert_eq!(lines.len(), 1);
        assert!(lines[0].ends_with("}\n") && lines[0].lines().count() == 1, "{}", lines[0]);
        serde_json::from_str(&lines[0]).unwrap()
    }
}

/// One figure of each metric, with as many durations as there may be.
fn everything() -> Figures {
    let (mut figures, mut samples) = (Figures::default(), Samples::default());
    (0..1_000).for_each(|n| samples.add(Duration::from_micros(n)));
    for &metric in ALL {
        if metric == REDIS_LATENCY { figures.durations(metric, &samples) } else { figures.level(metric, u64::MAX) }
    }
    figures
}

#[test]
fn a_line_has_what_the_specification_requires_and_nothing_that_it_forbids() {
    let world = world();
    world.metrics.write(everything);
    let line = world.line();
    let metadata = line["_aws"].as_object().unwrap();
    assert_eq!(metadata.keys().collect::<Vec<_>>(), ["CloudWatchMetrics", "Timestamp"]);
    assert_eq!(metadata["Timestamp"], json!(world.time.clock().now().epoch_millis()));
    let [directive] = metadata["CloudWatchMetrics"].as_array().unwrap().as_slice() else { panic!("{line}") };
    assert_eq!(directive.as_object().unwrap().keys().collect::<Vec<_>>(), ["Dimensions", "Metrics", "Namespace"]);
    assert_eq!((&directive["Namespace"], &directive["Dimensions"]), (&json!("VisitCounter/my-stack"), &json!([[]])));
    let definitions = directive["Metrics"].as_array().unwrap();
    assert!(definitions.len() == ALL.len() && definitions.len() <= 100);
    for definition in definitions {
        assert_eq!(definition.as_object().unwrap().keys().collect::<Vec<_>>(), ["Name", "Unit"]);
        assert!(UNITS.split_whitespace().any(|unit| definition["Unit"] == unit), "{definition}");
        // A target member for each metric: a number, or at most a hundred of them.
        match &line[definition["Name"].as_str().unwrap()] {
            Json::Number(_) => {}
            Json::Array(values) => assert!(values.len() <= 100 && values.iter().all(Json::is_number), "{definition}"),
            other => panic!("{definition}: {other}"),
        }
    }
}

#[test]
fn durations_are_written_in_milliseconds_to_the_microsecond() {
    let (world, mut samples) = (world(), Samples::default());
    for micros in [1_234_005, 700, 0] {
        samples.add(Duration::from_micros(micros));
    }
    world.metrics.write(|| {
        let mut figures = Figures::default();
        figures.durations(REDIS_LATENCY, &samples);
        figures
    });
    assert_eq!(world.line()["RedisLatency"], json!([1234.005, 0.7, 0.0]));
}

#[test]
fn what_is_0_is_left_out_and_a_gauge_at_0_is_not() {
    let world = world();
    let figures = |visits| {
        let mut figures = Figures::default();
        figures.count(VISITS, visits);
        figures.count(VISITS_LOST, 0);
        figures.durations(REDIS_LATENCY, &Samples::default());
        figures
    };
    world.metrics.write(|| figures(0));
    assert!(world.lines.lock().unwrap().is_empty(), "nothing to say");
    world.metrics.write(|| {
        let mut figures = figures(3);
        figures.level(BUFFER_AGE, 0);
        figures
    });
    let line = world.line();
    assert_eq!((&line["Visits"], &line["BufferAge"]), (&json!(3), &json!(0)));
    assert_eq!(line["_aws"]["CloudWatchMetrics"][0]["Metrics"].as_array().unwrap().len(), 2);
    assert!(line.get("VisitsLost").is_none() && line.get("RedisLatency").is_none(), "{line}");
}

#[test]
fn a_line_of_an_invocation_names_it() {
    let world = world();
    crate::telemetry::REQUEST_ID.sync_scope("8476a536-\"e9f4".into(), || world.metrics.write(everything));
    assert_eq!(world.line()["requestId"], "8476a536-\"e9f4");
}

#[test]
fn where_metrics_are_off_nobody_is_asked_for_figures() {
    Metrics::default().write(|| panic!("it was asked"));
    assert!(!Metrics::new(None, ManualClock::new().clock()).are_on());
}

#[test]
fn the_operations_manual_lists_each_metric_with_its_unit() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/OPERATIONS.md");
    let Ok(manual) = std::fs::read_to_string(path) else { return };
    for Metric { name, unit } in ALL {
        let row = format!("| `{name}` | {unit} |");
        assert!(manual.lines().any(|line| line.starts_with(&row)), "docs/OPERATIONS.md: no row that begins with {row}");
    }
}

mod metric {
    use super::super::ALL;
    use std::collections::BTreeSet;

    #[test]
    fn each_metric_has_a_name_of_its_own() {
        let names: BTreeSet<&str> = ALL.iter().map(|metric| metric.name).collect();
        assert_eq!(names.len(), ALL.len());
    }
}

mod samples {
    use super::super::{MAX_SAMPLES as MOST, Samples};
    use std::time::Duration;

    fn of(count: u64) -> Samples {
        let mut samples = Samples::default();
        (0..count).for_each(|n| samples.add(Duration::from_micros(n)));
        samples
    }

    #[test]
    fn a_hundred_are_all_kept() {
        assert_eq!(of(100).micros(), (0..100).collect::<Vec<u32>>());
        assert!(of(0).is_empty());
    }

    #[test]
    fn of_more_an_even_sample_is_kept() {
        for count in [101, 150, 200, 1_000, 12_345, 1_000_000] {
            let kept = of(count).micros().to_vec();
            assert!(kept.len() > MOST / 2 - 1 && kept.len() <= MOST, "{count}: {}", kept.len());
            let steps: Vec<u32> = kept.windows(2).map(|pair| pair[1] - pair[0]).collect();
            assert!(steps.iter().all(|step| *step == steps[0]), "{count}: {steps:?}");
            assert!(u64::from(kept[kept.len() - 1] + steps[0]) >= count, "{count}: the newest are in it too");
        }
    }

    #[test]
    fn a_value_beyond_an_hour_is_kept_as_the_greatest_there_is() {
        let mut samples = Samples::default();
        samples.add(Duration::from_hours(2));
        assert_eq!(samples.micros(), [u32::MAX]);
    }
}
