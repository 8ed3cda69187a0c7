//! Runs the checker and says what it found.

use crate::actions::Action;
use crate::config::Config;
use crate::model::ProtocolModel;
use crate::state::State;
use stateright::{Checker, CheckerBuilder, HasDiscoveries, Model, Path};
use std::fmt;
use std::time::{Duration, Instant};

/// What one run of the checker did.
#[derive(Clone, Debug)]
pub struct Outcome {
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
    /// What should have happened in some state and did not.
    pub missed: Vec<&'static str>,
}

impl Outcome {
    /// The head of a table of outcomes.
    pub const HEADER: &str = "configuration                                         states      unique  depth       s";
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, states, unique, depth, .. } = self;
        write!(f, "{name:48} {states:>11} {unique:>11} {depth:>6} {:>7.1}", self.time.as_secs_f64())
    }
}

/// Checks every state of a configuration, with as many threads as given; stops soon after a violation, whose
/// steps need not be the fewest.
pub fn check(config: Config, threads: usize) -> Outcome {
    run(config, HasDiscoveries::AnyFailures, |builder| builder.threads(threads))
}

/// Finds a shortest counterexample to a property: looks one step farther each time.
pub fn refute(config: &Config, property: &'static str) -> Option<Vec<Action>> {
    (2..=MAX_STEPS).find_map(|depth| {
        let finish = HasDiscoveries::AnyOf([property].into());
        let outcome = run(config.clone(), finish, |builder| builder.target_max_depth(depth));
        outcome.violations.into_iter().find(|(name, _)| *name == property).map(|(_, steps)| steps)
    })
}

/// No counterexample sought is longer.
const MAX_STEPS: usize = 40;

type Builder = CheckerBuilder<ProtocolModel>;

fn run(config: Config, finish: HasDiscoveries, bounds: impl Fn(Builder) -> Builder) -> Outcome {
    let (name, begun) = (config.name, Instant::now());
    let checker = bounds(ProtocolModel { config }.checker()).finish_when(finish).spawn_bfs().join();
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
            (true, Some(path)) => outcome.violations.push((property.name, actions_of(path.clone()))),
            (false, None) => outcome.missed.push(property.name),
            _ => {}
        }
    }
    outcome
}

fn actions_of(path: Path<State, Action>) -> Vec<Action> {
    path.into_vec().into_iter().filter_map(|(_, action)| action).collect()
}

/// The steps of a counterexample, one a line.
pub fn steps(actions: &[Action]) -> String {
    let line = |(number, action): (usize, &Action)| format!("{:3}. {action:?}\n", number + 1);
    actions.iter().enumerate().map(line).collect()
}
