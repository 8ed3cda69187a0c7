//! The machines as one automaton that reads bytes and says at some point that the text matches, or never will.

use crate::list::Machine;
use regex_automata::dfa::{Automaton as _, StartKind, dense};
use regex_automata::util::{start, syntax};
use regex_automata::{Anchored, MatchKind};
use std::collections::HashMap;
use std::error::Error;

/// No match any more.
pub(crate) const DEAD: usize = 0;
/// A match, whatever follows.
pub(crate) const MATCHED: usize = 1;
/// The column of the text's end, behind those of the bytes.
pub(crate) const END: usize = 256;

pub(crate) struct Automaton {
    /// For each state, where each byte and the end lead.
    pub(crate) rows: Vec<Vec<usize>>,
    /// Where each machine begins.
    pub(crate) starts: Vec<usize>,
}

impl Default for Automaton {
    fn default() -> Self {
        Self { rows: vec![vec![DEAD; END + 1], vec![MATCHED; END + 1]], starts: Vec::new() }
    }
}

impl Automaton {
    /// Adds the states of a machine.
    pub(crate) fn add(&mut self, machine: &Machine) -> Result<(), Box<dyn Error>> {
        let (kind, anchored) =
            if machine.anchored { (StartKind::Anchored, Anchored::Yes) } else { (StartKind::Unanchored, Anchored::No) };
        // Bytes, not Unicode: JavaScript's `\w`, `\d` and `\b` know ASCII only, too.
        let syntax = syntax::Config::new().unicode(false).utf8(false).case_insensitive(true);
        let config = dense::Config::new().start_kind(kind).match_kind(MatchKind::All).accelerate(false);
        let dfa = dense::Builder::new().configure(config).syntax(syntax).build(&machine.patterns.join("|"))?;
        let start = dfa.start_state(&start::Config::new().anchored(anchored))?;

        let first = self.rows.len();
        let (mut found, mut states) = (HashMap::from([(start, first)]), vec![start]);
        while let Some(&state) = states.get(self.rows.len() - first) {
            let mut row = Vec::with_capacity(END + 1);
            for byte in 0..=u8::MAX {
                let next = dfa.next_state(state, byte);
                row.push(match () {
                    () if dfa.is_match_state(next) => MATCHED,
                    () if dfa.is_dead_state(next) => DEAD,
                    () => *found.entry(next).or_insert_with(|| {
                        states.push(next);
                        first + states.len() - 1
                    }),
                });
            }
            row.push(if dfa.is_match_state(dfa.next_eoi_state(state)) { MATCHED } else { DEAD });
            self.rows.push(row);
        }
        self.starts.push(first);
        Ok(())
    }

    /// Minimises the states, by Moore's algorithm. States that are the same to all machines are one,
    /// so that this saves more than minimising each.
    pub(crate) fn minimised(&self) -> Self {
        let mut class: Vec<usize> = (0..self.rows.len()).map(|state| usize::from(state == MATCHED)).collect();
        let mut count = 2;
        loop {
            let mut classes = HashMap::new();
            let next = self.rows.iter().zip(&class).map(|(row, own)| {
                let key: Vec<usize> = std::iter::once(*own).chain(row.iter().map(|next| class[*next])).collect();
                let new = classes.len();
                *classes.entry(key).or_insert(new)
            });
            class = next.collect();
            if classes.len() == count {
                break;
            }
            count = classes.len();
        }
        let mut rows = vec![Vec::new(); count];
        for (row, class_of_row) in self.rows.iter().zip(&class) {
            rows[*class_of_row] = row.iter().map(|next| class[*next]).collect();
        }
        Self { rows, starts: self.starts.iter().map(|start| class[*start]).collect() }
    }
}
