//! The protocol of re-homing as a [`stateright::Model`].

use super::actions::Action;
use super::config::Config;
use super::state::State;
use super::{possible, properties, step};
use crate::check::Bounded;
use stateright::{Model, Property};

/// One configuration, to be checked.
#[derive(Clone, Debug)]
pub struct RehomeModel {
    /// Its bounds.
    pub config: Config,
}

impl Model for RehomeModel {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        vec![State::initial(&self.config)]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        possible::possible(&self.config, state, actions);
    }

    fn next_state(&self, last: &State, action: Action) -> Option<State> {
        let mut state = last.clone();
        step::take(&self.config, &mut state, action);
        (state != *last).then_some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        properties::all(self.config.witness)
    }
}

impl Bounded for RehomeModel {
    fn name(&self) -> &'static str {
        self.config.name
    }
}

impl From<Config> for RehomeModel {
    fn from(config: Config) -> Self {
        Self { config }
    }
}
