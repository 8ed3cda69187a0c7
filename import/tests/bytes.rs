//! Any bytes are read, in any format, and every record is accounted for.

use proptest::prelude::*;
use visits_import::{Blocks, Bounds, CounterOptions, GoatCounterOptions, LogOptions, PageRule, Source};

const LOG: &str = include_str!("fixtures/access.log");
const CSV: &str = include_str!("fixtures/goatcounter-2.csv");
const COUNTERS: &str =
    "[{\"namespace\":\"n\",\"key\":\"a\",\"value\":12},\n{\"key\":\"b\",\"value\":\"3\"}]\n{\"value\":1}\n";
const EXPORT: &str =
    "{\"format\":\"visits-export\",\"version\":1}\n{\"page\":\"a\",\"count\":3}\n{\"page\":\"b\",\"count\":1}\n";

fn formats() -> [(Source, &'static str); 5] {
    let pages = PageRule { keep_slash: true, ..PageRule::default() };
    let bots = LogOptions { skip_bots: true, pages, ..LogOptions::default() };
    [
        (Source::AccessLog(LogOptions::default()), LOG),
        (Source::AccessLog(bots), LOG),
        (Source::GoatCounter(GoatCounterOptions::default()), CSV),
        (Source::Counters(CounterOptions::default()), COUNTERS),
        (Source::Export, EXPORT),
    ]
}

/// Reads all of it and holds the sums against the blocks.
fn read(source: &Source, input: &[u8], names: usize) -> Result<(), TestCaseError> {
    let bounds = Bounds { names, ..Bounds::default() };
    let Ok(mut blocks) = Blocks::new(source, input, bounds) else { return Ok(()) };
    let (mut visits, mut bots) = (0, 0);
    while let Some(block) = blocks.next_block(&mut |_| {}).expect("memory never fails") {
        prop_assert!(block.windows(2).all(|pair| pair[0].page < pair[1].page), "sorted and distinct");
        prop_assert!(block.len() <= names && block.iter().all(|one| one.visits > 0 && one.bots <= one.visits));
        visits += block.iter().map(|one| one.visits).sum::<u64>();
        bots += block.iter().map(|one| one.bots).sum::<u64>();
    }
    let summary = blocks.summary();
    prop_assert_eq!(summary.counted + summary.ignored + summary.bad, summary.records);
    prop_assert_eq!((summary.visits, summary.bots), (visits, bots));
    prop_assert!(summary.bad_records.len() as u64 <= summary.bad);
    if let Source::AccessLog(_) = source {
        let input = input.strip_prefix(b"\xef\xbb\xbf").unwrap_or(input);
        let ends = input.split(|byte| *byte == b'\n').count() - 1;
        let lines = ends + usize::from(input.last().is_some_and(|byte| *byte != b'\n'));
        prop_assert_eq!(summary.records, lines as u64, "every line is a record");
        prop_assert_eq!(summary.bytes, input.len() as u64);
    }
    Ok(())
}

#[test]
fn the_fixtures_are_read_as_they_are() {
    for (source, text) in formats() {
        read(&source, text.as_bytes(), 1000).unwrap();
    }
}

proptest! {
    #[test]
    fn any_bytes_are_read_and_every_record_is_counted(
        bytes in prop::collection::vec(any::<u8>(), 0..400),
        names in 1_usize..5,
    ) {
        for (source, _) in formats() {
            read(&source, &bytes, names)?;
        }
    }

    #[test]
    fn spoiled_files_are_read_and_every_record_is_counted(
        cuts in prop::collection::vec((any::<prop::sample::Index>(), 0_usize..6, "[\"{}\\[\\],:\\\\\n a0/%\u{e9}]{0,3}"), 0..6),
        names in 1_usize..5,
    ) {
        for (source, text) in formats() {
            let mut bytes = text.as_bytes().to_vec();
            for (at, length, new) in &cuts {
                let at = at.index(bytes.len());
                let end = (at + length).min(bytes.len());
                bytes.splice(at..end, new.bytes());
            }
            read(&source, &bytes, names)?;
        }
    }
}
