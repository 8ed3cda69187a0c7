//! The same document as a table.

use super::report::{Content, Document, ShardReport};
use crate::share::percent;
use crate::table::{Align, Table};
use std::fmt::Write as _;

/// A row for each shard, and a line for the copies that wait.
pub(super) fn text(document: &Document) -> String {
    let mut table = Table::new(&[
        ("SHARD", Align::Left),
        ("STATE", Align::Left),
        ("PING", Align::Right),
        ("SHARE", Align::Right),
        ("PAGES", Align::Right),
        ("MISPLACED", Align::Right),
        ("RING", Align::Left),
        ("WRITERS", Align::Right),
        ("PARKED", Align::Right),
        ("MEMORY", Align::Right),
        ("EVICTION", Align::Left),
        ("ENDPOINT", Align::Left),
    ]);
    document.shards.iter().for_each(|shard| table.row(row(shard)));
    let mut text = table.render();
    for (shard, content) in contents(document) {
        for parked in &content.parked {
            let (copies, bytes) = (parked.copies, bytes(parked.bytes));
            let _ = writeln!(text, "{shard} keeps {copies} parked copies ({bytes}) for {}", parked.owner);
        }
        for moves in &content.moves {
            let _ = writeln!(text, "{shard} keeps {} of pages on their way to {}", bytes(moves.bytes), moves.owner);
        }
    }
    text
}

fn contents(document: &Document) -> impl Iterator<Item = (&str, &Content)> {
    document.shards.iter().filter_map(|shard| Some((shard.shard.as_str(), shard.content.as_ref()?)))
}

fn row(shard: &ShardReport) -> Vec<String> {
    let known = |value: &dyn Fn(&Content) -> Option<String>| {
        shard.content.as_ref().and_then(value).unwrap_or_else(|| "-".to_owned())
    };
    vec![
        shard.shard.clone(),
        format!("{:?}", shard.state).to_lowercase(),
        known(&|content| Some(milliseconds(content.round_trip_us))),
        percent(shard.share),
        known(&|content| Some(content.pages.to_string())),
        known(&|content| Some(content.misplaced.to_string())),
        known(&|content| Some(format!("{:?}", content.ring).to_lowercase())),
        known(&|content| Some(content.writers.to_string())),
        known(&|content| Some(content.parked.iter().map(|parked| parked.copies).sum::<u64>().to_string())),
        known(&|content| content.memory_bytes.map(bytes)),
        known(&|content| content.eviction_policy.clone()),
        shard.endpoint.clone(),
    ]
}

fn milliseconds(microseconds: u64) -> String {
    format!("{}.{:02}ms", microseconds / 1000, microseconds % 1000 / 10)
}

/// Bytes in the largest unit of which there is at least one, cut to a tenth.
fn bytes(bytes: u64) -> String {
    let units = [(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
    let unit = units.into_iter().find(|(size, _)| bytes >= *size);
    unit.map_or_else(
        || format!("{bytes}B"),
        |(size, unit)| format!("{}.{}{unit}", bytes / size, bytes % size * 10 / size),
    )
}

#[cfg(test)]
mod tests {
    use super::{bytes, milliseconds};

    #[test]
    fn bytes_are_shown_in_the_largest_unit_that_fits() {
        let shown = [0, 1023, 1024, 1536, 1_048_575, 64 << 20, 3 << 30].map(bytes);
        assert_eq!(shown, ["0B", "1023B", "1.0KiB", "1.5KiB", "1023.9KiB", "64.0MiB", "3.0GiB"]);
    }

    #[test]
    fn a_round_trip_is_shown_in_hundredths_of_a_millisecond() {
        assert_eq!([0, 86, 1234].map(milliseconds), ["0.00ms", "0.08ms", "1.23ms"]);
    }
}
