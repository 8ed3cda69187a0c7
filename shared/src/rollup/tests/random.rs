//! Any order of visits, runs, ring changes, failing calls and shards that are away.

use super::*;
use crate::tests::contents;
use proptest::prelude::*;

/// Rings are the new one or the old one.
#[derive(Clone, Debug)]
enum Step {
    /// Visitors of a page so many days ago, placed by a ring.
    Visit(bool, u32, u64, Vec<u64>),
    /// A run by a ring, or two at once.
    Run(bool, bool),
    /// The next calls to a shard go wrong like this.
    Fail(ShardIndex, Vec<Option<bool>>),
    /// A shard goes away, or comes back.
    Away(ShardIndex, bool),
    Hours(u64),
}

fn step() -> impl Strategy<Value = Step> {
    let fault = prop_oneof![3 => Just(None), 1 => any::<bool>().prop_map(Some)];
    let visitors = prop::collection::vec(0..VISITORS, 1..6);
    prop_oneof![
        4 => (any::<bool>(), 0_u32..3, 0..PAGES, visitors)
            .prop_map(|(is_new, days_ago, page, visitors)| Step::Visit(is_new, days_ago, page, visitors)),
        4 => (any::<bool>(), any::<bool>()).prop_map(|(is_new, twice)| Step::Run(is_new, twice)),
        2 => (0_usize..3, prop::collection::vec(fault, 1..12)).prop_map(|(shard, faults)| Step::Fail(shard, faults)),
        1 => (0_usize..3, any::<bool>()).prop_map(|(shard, away)| Step::Away(shard, away)),
        2 => (1_u64..30).prop_map(Step::Hours),
    ]
}

impl World {
    /// Takes a step. `seen`: for each day of a page or the site, the most visitors that one sketch was ever told at once.
    async fn take(&mut self, step: Step, seen: &mut BTreeMap<Key, usize>) {
        let ring = |world: &Self, new| if new { world.three() } else { world.two() };
        match step {
            Step::Visit(is_new, days_ago, page, visitors) => {
                let (ring, day) = (ring(self, is_new), self.today().minus(days_ago));
                self.visit(&ring, day, page, &visitors);
                let told = visitors.iter().collect::<BTreeSet<_>>().len();
                for page in [Some(page_of(page)), None] {
                    let most = seen.entry(Key::Visitors(day, page)).or_default();
                    *most = told.max(*most);
                }
            }
            Step::Run(is_new, false) => drop(self.run(&ring(self, is_new)).await),
            Step::Run(is_new, true) => {
                let ring = ring(self, is_new);
                futures_util::future::join(self.run(&ring), self.run(&ring)).await;
            }
            Step::Fail(shard, faults) => {
                let fault = |lost| if lost { Fault::AnswerLost } else { Fault::Unreachable };
                self.shards.fail_next(shard, faults.into_iter().map(|lost| lost.map(fault)));
            }
            Step::Away(shard, away) => self.shards.set_down(shard, away.then_some(Fault::Unreachable)),
            Step::Hours(hours) => self.pass(hours),
        }
    }
}

/// No two of the visitors fall together in a sketch, so its numbers are exact here.
#[test]
fn the_visitors_of_these_tests_are_told_apart() {
    let shards = Shards::new(1);
    let _: bool = shards.connect().pfadd("all", (0..VISITORS).collect::<Vec<_>>()).unwrap();
    assert_eq!(shards.connect().pfcount("all"), Ok(VISITORS));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn numbers_are_never_less_than_what_one_sketch_says_and_no_sketch_stays(steps in prop::collection::vec(step(), 0..40)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let (mut world, mut seen) = (World::new(), BTreeMap::new());
            for step in steps {
                world.take(step, &mut seen).await;
            }
            (0..3).for_each(|shard| {
                world.shards.clear_faults(shard);
                world.shards.set_down(shard, None);
            });
            let (ring, people) = (world.three(), world.people());
            world.pass(28);
            world.finish(&ring).await;
            for (sketch, most) in seen {
                let counted = world.counted(&sketch).into_iter().max().flatten().unwrap_or(0);
                let all = world.visited[&sketch].len();
                assert!((most as u64..=all as u64).contains(&counted), "{sketch}: {counted}, not {most} to {all}");
            }
            assert_eq!((world.sketches(), world.people()), (0, people));
            let before = contents(&mut world.shards.connect());
            assert_eq!(world.finish(&ring).await, Rollup { days_rolled_up: true, ..Rollup::default() });
            assert_eq!(contents(&mut world.shards.connect()), before);
        });
    }
}

impl World {
    /// The visits of all days on all shards, which no roll-up changes.
    fn people(&self) -> Vec<Option<u64>> {
        let mut redis = self.shards.connect();
        let of = |sketch: &Key| (month_of(sketch), day_of(sketch).of_month().to_string());
        let places = self.visited.keys().map(of).flat_map(|place| (0..3).map(move |shard| (shard, place.clone())));
        places.map(|(shard, (month, field))| redis.hget(self.shards.key(shard, &month), field).unwrap()).collect()
    }
}
