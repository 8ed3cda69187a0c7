//! Random interruptions, crashes and changes of the ring between attempts, against real shards.

use crate::world::{config_of, log, march, run, truth};
use proptest::prelude::*;
use visits_core::tests::{Fault, Shards};
use visits_import::{Bounds, Import, ImportError, Outcome};

const SHARDS: usize = 4;

/// The faults of one attempt.
#[derive(Clone, Debug)]
struct Attempt {
    weights: Vec<u8>,
    /// For each shard, how its next calls go.
    faults: Vec<Vec<Option<Fault>>>,
    /// The program is killed after this many reports of progress.
    killed_after: Option<usize>,
    /// Shards that lose what they have taken since they were saved last, and those that save, afterwards.
    crashes: Vec<usize>,
    saves: Vec<usize>,
}

fn fault() -> impl Strategy<Value = Option<Fault>> {
    prop_oneof![
        6 => Just(None),
        1 => Just(Some(Fault::Unreachable)),
        1 => Just(Some(Fault::AnswerLost)),
    ]
}

prop_compose! {
    fn attempt()(
        weights in prop::collection::vec(0_u8..3, SHARDS).prop_filter("an owner", |all| all.iter().any(|w| *w > 0)),
        faults in prop::collection::vec(prop::collection::vec(fault(), 0..20), SHARDS),
        killed_after in prop::option::of(0_usize..12),
        crashes in prop::collection::vec(0..SHARDS, 0..2),
        saves in prop::collection::vec(0..SHARDS, 0..3),
    ) -> Attempt {
        Attempt { weights, faults, killed_after, crashes, saves }
    }
}

/// Runs an attempt. `None`: it was killed.
async fn attempt_once(
    store: &Shards,
    attempt: &Attempt,
    what: &Import,
    input: &[u8],
) -> Option<Result<Outcome, ImportError>> {
    let config = config_of(&attempt.weights);
    for (shard, faults) in attempt.faults.iter().enumerate() {
        store.fail_next(shard, faults.iter().copied());
    }
    let killed_after = attempt.killed_after.unwrap_or(usize::MAX);
    let (killed, gone) = tokio::sync::oneshot::channel::<()>();
    let (mut reports, mut killed) = (0, Some(killed));
    let mut input = std::io::Cursor::new(input);
    let mut progress = |_: &_| {
        reports += 1;
        if reports > killed_after {
            drop(killed.take());
        }
    };
    let ended = tokio::select! {
        biased;
        _ = gone => None,
        outcome = visits_import::import(store.store(), &config, what, &mut input, &mut progress) => Some(outcome),
    };
    // Faults that were not met are not for the next attempt.
    for shard in 0..SHARDS {
        store.clear_faults(shard);
    }
    ended
}

async fn check(attempts: Vec<Attempt>, what: Import, input: Vec<u8>) -> Result<(), TestCaseError> {
    let (store, truth) = (Shards::new(SHARDS), truth(&what, &input));
    let last = Attempt {
        weights: vec![0, 1, 0, 2],
        faults: vec![Vec::new(); SHARDS],
        killed_after: None,
        crashes: Vec::new(),
        saves: Vec::new(),
    };
    let mut done = false;
    for attempt in attempts.iter().chain([&last]) {
        match attempt_once(&store, attempt, &what, &input).await {
            Some(Ok(_)) => done = true,
            Some(Err(error)) => prop_assert!(matches!(error, ImportError::Store(_) | ImportError::Losing), "{error}"),
            None => {}
        }
        for (page, counted) in store.counts() {
            prop_assert!(truth.get(&page).is_some_and(|visits| counted <= *visits), "{page} is counted twice");
        }
        attempt.saves.iter().for_each(|shard| store.save(*shard));
        attempt.crashes.iter().for_each(|shard| store.crash(*shard));
    }
    prop_assert!(done, "the last attempt meets no faults");
    prop_assert!(store.counts() == truth);
    let again = run(store.store(), &config_of(&last.weights), &what, &input).await;
    prop_assert!(matches!(again, Ok(Outcome::AlreadyImported)), "{:?}", again);
    Ok(())
}

fn run_all(attempts: Vec<Attempt>, what: Import, input: Vec<u8>) -> Result<(), TestCaseError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(check(attempts, what, input))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn whatever_interrupts_an_import_its_repetition_completes_it_exactly(
        attempts in prop::collection::vec(attempt(), 0..5),
        lines in 1_u64..400,
        pages in 1_u64..150,
        seed in any::<u64>(),
    ) {
        run_all(attempts, march(), log(lines, pages, seed))?;
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(10))]

    /// Here a shard's share of a block makes several batches: which page is in which must not change.
    #[test]
    fn blocks_that_make_several_batches_are_cut_the_same_at_each_repetition(
        attempts in prop::collection::vec(attempt(), 1..4),
        seed in any::<u64>(),
    ) {
        let bounds = Bounds { names: 4000, ..Bounds::default() };
        run_all(attempts, Import { bounds, ..march() }, log(8000, 9000, seed))?;
    }
}
