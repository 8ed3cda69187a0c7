//! Any order of visits, runs, ring changes, crashes and failing calls, against a plain count.

use super::*;
use proptest::prelude::*;

#[derive(Clone, Debug)]
enum Step {
    /// Visitors of a page, by a writer whose ring is the old or the new one.
    Visit {
        of_new_ring: bool,
        page: u64,
        visitors: Vec<u64>,
    },
    /// A run, or two at once.
    Run {
        of_new_ring: bool,
        twice: bool,
    },
    /// The next calls to a shard go wrong like this.
    Fail {
        shard: ShardIndex,
        faults: Vec<Option<bool>>,
    },
    /// A shard loses what is younger than a minute, but for visits, which writers send again.
    Crash {
        shard: ShardIndex,
    },
    Minute,
    /// To where the day is over.
    Night,
}

fn step() -> impl Strategy<Value = Step> {
    let fault = prop_oneof![3 => Just(None), 1 => any::<bool>().prop_map(Some)];
    prop_oneof![
        4 => (any::<bool>(), 0..PAGES, prop::collection::vec(0_u64..30, 1..6))
            .prop_map(|(of_new_ring, page, visitors)| Step::Visit { of_new_ring, page, visitors }),
        4 => (any::<bool>(), any::<bool>()).prop_map(|(of_new_ring, twice)| Step::Run { of_new_ring, twice }),
        2 => (0_usize..3, prop::collection::vec(fault, 1..12)).prop_map(|(shard, faults)| Step::Fail { shard, faults }),
        1 => (0_usize..3).prop_map(|shard| Step::Crash { shard }),
        3 => Just(Step::Minute),
        1 => Just(Step::Night),
    ]
}

impl World {
    async fn take(&mut self, step: Step) {
        let ring = |new| if new { three() } else { two() };
        match step {
            Step::Visit { of_new_ring, page, visitors } => {
                (0..3).for_each(|shard| self.store.clear_faults(shard));
                let mut visitors = visitors;
                visitors.sort_unstable();
                visitors.dedup();
                let today = self.today();
                self.visit(&ring(of_new_ring), today, page, &visitors).await;
            }
            Step::Run { of_new_ring, twice } => {
                let ring = ring(of_new_ring);
                let other = async {
                    if twice {
                        self.run(&ring).await;
                    }
                };
                futures_util::future::join(self.run(&ring), other).await;
            }
            Step::Fail { shard, faults } => {
                let fault = |lost| if lost { Fault::AnswerLost } else { Fault::Unreachable };
                self.store.fail_next(shard, faults.into_iter().map(|planned| planned.map(fault)));
            }
            Step::Crash { shard } => self.store.crash(shard),
            Step::Minute => self.pass_a_minute(),
            Step::Night => {
                self.pass_a_minute();
                self.time.advance(Duration::from_hours(4));
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    /// The rings of runs change at any time. (A writer with the old one writes until a day ends.)
    #[test]
    fn visitors_of_a_finished_day_are_exactly_those_of_all_shards_together(
        steps in prop::collection::vec(step(), 1..40)
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let mut world = World::new();
            for step in steps {
                world.take(step).await;
            }
            (0..3).for_each(|shard| world.store.clear_faults(shard));
            world.pass_a_minute();
            world.time.advance(Duration::from_hours(26));
            world.finish(&three()).await;
            world.assert_counted();
        });
    }
}
