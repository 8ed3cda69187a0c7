//! The protocol as a [`stateright::Model`].

use crate::actions::Action;
use crate::check::Bounded;
use crate::config::Config;
use crate::possible;
use crate::properties;
use crate::state::State;
use crate::step;
use stateright::{Model, Property};

/// One configuration, to be checked.
#[derive(Clone, Debug)]
pub struct ProtocolModel {
    /// Its bounds.
    pub config: Config,
}

impl Model for ProtocolModel {
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
        Some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        properties::all(self.config.witness)
    }
}

impl Bounded for ProtocolModel {
    fn name(&self) -> &'static str {
        self.config.name
    }
}

impl From<Config> for ProtocolModel {
    fn from(config: Config) -> Self {
        Self { config }
    }
}
