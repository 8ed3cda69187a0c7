//! The list as one table of states, made by `build.rs`, and the walk through it.
//!
//! Edges are laid into each other: that of a state for a class of bytes is at the state's base plus the class, if what
//! stands there is of that class. Where there is none, the state names another that is asked instead, or the one to go to.

include!(concat!(env!("OUT_DIR"), "/table.rs"));

/// The state after which no pattern matches is 0.
const MATCHED: u16 = 1;

/// Whether a pattern of the list matches.
pub(crate) fn matches(text: &[u8]) -> bool {
    STARTS.iter().any(|start| walk(*start, text))
}

/// Whether a pattern of the machine that begins here matches.
fn walk(start: u16, text: &[u8]) -> bool {
    let mut state = start;
    for byte in text {
        state = step(state, CLASSES[usize::from(*byte)]);
        if state <= MATCHED {
            return state == MATCHED;
        }
    }
    step(state, END) == MATCHED
}

/// Asks ever shallower states, so it ends.
fn step(mut state: u16, class: u8) -> u16 {
    loop {
        let at = usize::from(BASE[usize::from(state)]) + usize::from(class);
        if CHECK[at] == class {
            return NEXT[at];
        }
        let other = OTHER[usize::from(state)];
        if other & GOES != 0 {
            return other & !GOES;
        }
        state = other;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_step_ends_and_stays_in_the_table() {
        let states = u16::try_from(BASE.len()).unwrap();
        assert_eq!(BASE.len(), OTHER.len());
        for state in MATCHED + 1..states {
            let other = OTHER[usize::from(state)];
            assert!(other & GOES != 0 || (MATCHED < other && other < state), "{state} asks {other}");
            for class in 0..=CLASSES.into_iter().max().unwrap().max(END) {
                assert!(step(state, class) < states, "{state} by {class}");
            }
        }
        assert!(STARTS.iter().all(|start| (MATCHED + 1..states).contains(start)));
    }

    #[test]
    fn the_end_of_a_text_leads_to_an_end() {
        for state in MATCHED + 1..u16::try_from(BASE.len()).unwrap() {
            assert!(step(state, END) <= MATCHED, "{state}");
        }
    }
}
