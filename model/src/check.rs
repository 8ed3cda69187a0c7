//! Runs the checker and says what it found.

use stateright::{Checker, CheckerBuilder, HasDiscoveries, Model};
use std::fmt::{self, Debug};
use std::hash::Hash;
use std::time::{Duration, Instant};

/// Result of one run of the checker.
#[derive(Clone, Debug)]
pub struct Outcome<Action> {
    /// The configuration's name.
    pub name: &'static str,
    /// States reached, each as often as it was.
    pub states: usize,
    /// Different states.
    pub unique: usize,
    /// Steps to the farthest state.
    pub depth: usize,
    /// Time taken.
    pub time: Duration,
    /// The properties that do not hold, and the steps that show it.
    pub violations: Vec<(&'static str, Vec<Action>)>,
    /// Properties that some state must reach and did not.
    pub missed: Vec<&'static str>,
}

/// The head of a table of outcomes.
pub const HEADER: &str = "configuration                                         states      unique  depth       s";

impl<Action> fmt::Display for Outcome<Action> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, states, unique, depth, .. } = self;
        write!(f, "{name:48} {states:>11} {unique:>11} {depth:>6} {:>7.1}", self.time.as_secs_f64())
    }
}

/// A protocol that can be checked, within bounds that have a name.
pub trait Bounded:
    Model<State: Clone + Debug + Hash + PartialEq + Send + Sync, Action: Clone + Debug + PartialEq + Send + Sync>
    + Clone
    + Send
    + Sync
    + 'static
{
    /// The name.
    fn name(&self) -> &'static str;
}

/// Checks every state of a configuration, with as many threads as given; stops soon after a violation, whose
/// steps need not be the fewest.
pub fn check<M: Bounded>(model: M, threads: usize) -> Outcome<M::Action> {
    run(model, HasDiscoveries::AnyFailures, |builder| builder.threads(threads))
}

/// Finds a shortest counterexample to a property: looks one step farther each time.
pub fn refute<M: Bounded>(model: &M, property: &'static str) -> Option<Vec<M::Action>> {
    (2..=MAX_STEPS).find_map(|depth| {
        let finish = HasDiscoveries::AnyOf([property].into());
        let outcome = run(model.clone(), finish, |builder| builder.target_max_depth(depth));
        outcome.violations.into_iter().find(|(name, _)| *name == property).map(|(_, steps)| steps)
    })
}

/// Finds a counterexample to a property, with hardly more steps than the shortest: looks at each state once.
pub fn find<M: Bounded>(model: M, property: &'static str) -> Option<Vec<M::Action>> {
    let outcome = run(model, HasDiscoveries::AnyOf([property].into()), |builder| builder);
    outcome.violations.into_iter().find(|(name, _)| *name == property).map(|(_, steps)| steps)
}

/// No counterexample sought is longer.
const MAX_STEPS: usize = 40;

fn run<M: Bounded>(
    model: M,
    finish: HasDiscoveries,
    bounds: impl Fn(CheckerBuilder<M>) -> CheckerBuilder<M>,
) -> Outcome<M::Action> {
    let (name, begun) = (model.name(), Instant::now());
    let checker = bounds(model.checker()).finish_when(finish).spawn_bfs().join();
    let time = begun.elapsed();
    let discoveries = checker.discoveries();
    let mut outcome = Outcome {
        name,
        states: checker.state_count(),
        unique: checker.unique_state_count(),
        depth: checker.max_depth(),
        time,
        violations: Vec::new(),
        missed: Vec::new(),
    };
    for property in checker.model().properties() {
        match (property.expectation.discovery_is_failure(), discoveries.get(property.name)) {
            (true, Some(path)) => {
                let steps = path.clone().into_vec().into_iter().filter_map(|(_, action)| action);
                outcome.violations.push((property.name, steps.collect()));
            }
            (false, None) => outcome.missed.push(property.name),
            _ => {}
        }
    }
    outcome
}

/// The steps of a counterexample, one a line.
pub fn steps(actions: &[impl Debug]) -> String {
    let line = |(number, action)| format!("{:3}. {action:?}\n", number + 1);
    actions.iter().enumerate().map(line).collect()
}
