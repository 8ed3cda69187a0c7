//! Refusals, and the effect of a repetition.

use crate::world::{config_of, log, march, run, truth};
use std::io::{Cursor, Read, Seek, SeekFrom};
use visits_core::store::StoreError;
use visits_core::tests::{Fault, Shards};
use visits_import::{Blocks, Import, ImportError, LogOptions, Outcome, PageRule, Source, import};

fn is_exact(store: &Shards, input: &[u8]) -> bool {
    store.counts() == truth(&march(), input)
}

#[tokio::test]
async fn an_import_that_is_done_changes_nothing_when_repeated() {
    let (store, input) = (Shards::new(3), log(500, 100, 1));
    let first = run(store.store(), &config_of(&[1, 1, 0]), &march(), &input).await.unwrap();
    let Outcome::Imported(imported) = first else { panic!("{first:?}") };
    assert_eq!((imported.summary.visits, imported.batches_found, imported.visits_rejected), (500, 0, 0));
    assert!(is_exact(&store, &input));
    // Also with another ring, and without one of the shards.
    for weights in [&[1, 1, 0][..], &[1, 0, 5], &[0, 1]] {
        let again = run(store.store(), &config_of(weights), &march(), &input).await.unwrap();
        assert_eq!(again, Outcome::AlreadyImported, "{weights:?}");
    }
    assert!(is_exact(&store, &input));
}

#[tokio::test]
async fn a_repetition_goes_on_where_it_stopped_with_the_first_ring() {
    let (store, input) = (Shards::new(3), log(500, 100, 1));
    // The record, the first question, three batches; then nothing is reached.
    store.fail_next(1, [None, None, None, None, None, None]);
    store.set_down(1, Some(Fault::Unreachable));
    let failed = run(store.store(), &config_of(&[1, 1, 0]), &march(), &input).await.unwrap_err();
    assert!(matches!(failed, ImportError::Store(StoreError::Unreachable { .. })), "{failed}");
    assert!(failed.to_string().contains("repeat the same command"), "{failed}");
    store.set_down(1, None);
    let outcome = run(store.store(), &config_of(&[1, 0, 3]), &march(), &input).await.unwrap();
    let Outcome::Imported(imported) = outcome else { panic!("{outcome:?}") };
    assert!(imported.batches_found > 0 && imported.batches_sent > 0, "{imported:?}");
    assert!(is_exact(&store, &input));
    for page in truth(&march(), &input).keys() {
        assert_eq!(store.store().total(2, page).await, Ok(0), "the new shard was not in the first ring");
    }
}

#[tokio::test]
async fn a_shard_of_the_first_ring_that_is_gone_is_told() {
    let (store, input) = (Shards::new(2), log(500, 100, 1));
    store.fail_next(0, [None, None, None, None, Some(Fault::Unreachable), Some(Fault::Unreachable)]);
    run(store.store(), &config_of(&[1, 1]), &march(), &input).await.unwrap_err();
    let error = run(store.store(), &config_of(&[1]), &march(), &input).await.unwrap_err();
    assert!(matches!(&error, ImportError::ShardMissing(name) if name.as_str() == "b"), "{error}");
    run(store.store(), &config_of(&[1, 0]), &march(), &input).await.unwrap();
    assert!(is_exact(&store, &input));
}

#[tokio::test]
async fn another_input_or_other_options_under_the_same_id_are_refused() {
    let (store, input) = (Shards::new(1), log(500, 100, 1));
    let config = config_of(&[1]);
    run(store.store(), &config, &march(), &input).await.unwrap();
    let grown = [&input[..], &log(1, 1, 1)].concat();
    let pages = PageRule { keep_slash: true, ..PageRule::default() };
    let source = Source::AccessLog(LogOptions { pages, ..LogOptions::default() });
    let other_options = Import { source, ..march() };
    for (what, input) in [(march(), &grown), (other_options, &input)] {
        let error = run(store.store(), &config, &what, input).await.unwrap_err();
        assert!(matches!(error, ImportError::OtherInput { .. }), "{error}");
    }
    assert!(is_exact(&store, &input));
    let april = Import { id: "april".parse().unwrap(), ..march() };
    assert!(
        matches!(run(store.store(), &config, &april, &input).await, Ok(Outcome::Imported(_))),
        "another id counts again"
    );
}

#[tokio::test]
async fn an_input_in_which_nothing_counts_takes_no_id() {
    let (store, input) = (Shards::new(1), log(50, 10, 1));
    let what = Import { source: Source::Export, ..march() };
    assert!(matches!(run(store.store(), &config_of(&[1]), &what, &input).await, Err(ImportError::Read(_))));
    let error = run(store.store(), &config_of(&[1]), &march(), b"nothing\n").await.unwrap_err();
    assert!(error.to_string().contains("1 records, 1 of them bad"), "{error}");
    assert_eq!(store.calls(0), 0);
    run(store.store(), &config_of(&[1]), &march(), &input).await.unwrap();
}

/// An input that is another one from its second reading on.
struct Changing(Cursor<Vec<u8>>, u32);

impl Read for Changing {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        self.0.read(buffer)
    }
}

impl Seek for Changing {
    fn seek(&mut self, to: SeekFrom) -> std::io::Result<u64> {
        self.1 += 1;
        if self.1 == 2 {
            let bytes = self.0.get_mut();
            let at = bytes.len() / 2;
            bytes[at] = b'x';
        }
        self.0.seek(to)
    }
}

#[tokio::test]
async fn an_input_that_changes_while_it_is_imported_is_told_and_never_done() {
    let (store, config) = (Shards::new(1), config_of(&[1]));
    let mut input = Changing(Cursor::new(log(50, 10, 1)), 0);
    let error = import(store.store(), &config, &march(), &mut input, &mut |_| {}).await.unwrap_err();
    assert!(matches!(error, ImportError::Changed), "{error}");
}

#[tokio::test]
async fn pages_that_cannot_be_counted_are_reported_and_the_rest_counts() {
    let (store, input) = (Shards::new(1), log(500, 10, 1));
    let (page, visits) = truth(&march(), &input).into_iter().next().unwrap();
    store.break_page(0, &page);
    let outcome = run(store.store(), &config_of(&[1]), &march(), &input).await.unwrap();
    let Outcome::Imported(imported) = outcome else { panic!("{outcome:?}") };
    assert_eq!((imported.visits_rejected, &imported.rejected[0].page), (visits, &page));
}

/// An import that is interrupted before an update of this program is gone on with after it. If this test fails, count up
/// the version in `digest`: then such an import is refused instead of counted wrongly.
#[test]
fn blocks_are_cut_as_they_ever_were() {
    let input = log(300, 50, 1);
    let mut blocks = Blocks::new(&march().source, input.as_slice(), march().bounds).unwrap();
    let (mut texts, mut pages) = (Vec::new(), 0);
    while let Some(block) = blocks.next_block(&mut |_| {}).unwrap() {
        pages += block.len();
        let lines: Vec<String> = block.iter().map(|one| format!("{} {}\n", one.page, one.visits)).collect();
        texts.push(lines.concat());
    }
    let digest = xxhash_rust::xxh3::xxh3_64(texts.join("\n").as_bytes());
    assert_eq!((texts.len(), pages, format!("{digest:016x}").as_str()), (12, 236, "b2e9432a56020bdd"));
}
