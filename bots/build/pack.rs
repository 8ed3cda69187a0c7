//! The automaton in about 11 KB. Most states differ from a shallower one in where one or two bytes lead, as in the
//! automaton of Aho and Corasick, or lead to the same state for nearly all bytes: only that is kept.

use crate::automaton::{Automaton, DEAD, END, MATCHED};
use std::collections::{BTreeSet, HashMap};
use std::fmt::Write;

/// In `other`: the rest is the state to go to, not the one to ask. As in `src/table.rs`.
const GOES: u16 = 1 << 15;
/// In `check`: no edge.
const FREE: u8 = u8::MAX;

/// The arrays of `src/table.rs`.
#[derive(Default)]
pub(crate) struct Table {
    classes: Vec<u8>,
    end: u8,
    starts: Vec<u16>,
    base: Vec<u16>,
    other: Vec<u16>,
    check: Vec<u8>,
    next: Vec<u16>,
}

/// A state: what is asked where no edge is for a class.
struct State {
    edges: Vec<(usize, usize)>,
    other: u16,
}

pub(crate) fn pack(automaton: &Automaton) -> Result<Table, String> {
    let (columns, classes) = classes(&automaton.rows);
    let order = Order::new(automaton);
    if order.states.len() >= usize::from(GOES) || columns.len() >= usize::from(FREE) {
        return Err(format!("{} states and {} classes are too many", order.states.len(), columns.len()));
    }
    let rows: Vec<Vec<usize>> = order
        .states
        .iter()
        .map(|state| columns.iter().map(|column| order.number[&automaton.rows[*state][*column]]).collect())
        .collect();
    let states: Vec<State> = (0..rows.len()).map(|state| smallest(&rows, &order.depth, state)).collect();
    let mut table = Table {
        end: classes[END],
        classes: classes[..END].to_vec(),
        starts: automaton.starts.iter().map(|start| short(order.number[start])).collect(),
        other: states.iter().map(|state| state.other).collect(),
        ..Table::default()
    };
    table.place(&states, columns.len());
    Ok(table)
}

/// Bytes that lead to the same state from every state are of one class. Returns a byte of each, and each byte's.
fn classes(rows: &[Vec<usize>]) -> (Vec<usize>, Vec<u8>) {
    let (mut columns, mut known) = (Vec::new(), HashMap::new());
    let class = (0..=END).map(|column| {
        let all: Vec<usize> = rows.iter().map(|row| row[column]).collect();
        *known.entry(all).or_insert_with(|| {
            columns.push(column);
            u8::try_from(columns.len() - 1).unwrap_or(FREE)
        })
    });
    let class = class.collect();
    (columns, class)
}

/// The states as they are numbered in the table: the two ends, then by their depth, which is the length of the shortest
/// text that leads to them.
struct Order {
    states: Vec<usize>,
    number: HashMap<usize, usize>,
    depth: Vec<usize>,
}

impl Order {
    fn new(automaton: &Automaton) -> Self {
        let mut order = Self { states: Vec::new(), number: HashMap::new(), depth: Vec::new() };
        // Minimising numbers by first sight: the ends are the first two still.
        [DEAD, MATCHED].iter().chain(&automaton.starts).for_each(|state| order.add(*state, 0));
        let mut at = MATCHED + 1;
        while let Some(&state) = order.states.get(at) {
            automaton.rows[state].iter().for_each(|next| order.add(*next, order.depth[at] + 1));
            at += 1;
        }
        order
    }

    fn add(&mut self, state: usize, depth: usize) {
        if !self.number.contains_key(&state) {
            self.number.insert(state, self.states.len());
            self.states.push(state);
            self.depth.push(depth);
        }
    }
}

/// The state with as few edges as possible. Only shallower ones are asked instead, so that asking comes to an end.
fn smallest(rows: &[Vec<usize>], depth: &[usize], state: usize) -> State {
    let row = &rows[state];
    let mut count = HashMap::new();
    for next in row {
        *count.entry(*next).or_insert(0) += 1;
    }
    let usual = row.iter().copied().max_by_key(|next| (count[next], *next)).unwrap_or(DEAD);
    let differences = |other: usize| row.iter().zip(&rows[other]).filter(|(own, its)| own != its).count();
    let shallower = (MATCHED + 1..state).take_while(|other| depth[*other] < depth[state]);
    let nearest = shallower.map(|other| (differences(other), other)).min();
    match nearest {
        Some((differences, other)) if differences < row.len() - count[&usual] => {
            State { edges: edges(row, |class| rows[other][class]), other: short(other) }
        }
        _ => State { edges: edges(row, |_| usual), other: short(usual) | GOES },
    }
}

fn edges(row: &[usize], other: impl Fn(usize) -> usize) -> Vec<(usize, usize)> {
    row.iter().copied().enumerate().filter(|(class, next)| *next != other(*class)).collect()
}

fn short(state: usize) -> u16 {
    u16::try_from(state).expect("there are fewer states than GOES")
}

impl Table {
    /// Lays the states' edges into each other's gaps. No two have the same base: an edge's class then tells whose it is.
    fn place(&mut self, states: &[State], classes: usize) {
        self.base = vec![0; states.len()];
        let mut by_size: Vec<usize> = (MATCHED + 1..states.len()).collect();
        by_size.sort_by_key(|state| std::cmp::Reverse(states[*state].edges.len()));
        let mut taken = BTreeSet::new();
        for state in by_size {
            let edges = &states[state].edges;
            let free = |at: usize| self.check.get(at).is_none_or(|check| *check == FREE);
            let fits = |base: &usize| !taken.contains(base) && edges.iter().all(|(class, _)| free(base + class));
            let base = (0..usize::from(u16::MAX)).find(fits).expect("there is room behind the last edge");
            taken.insert(base);
            self.base[state] = short(base);
            if self.check.len() < base + classes {
                self.check.resize(base + classes, FREE);
                self.next.resize(base + classes, 0);
            }
            for (class, next) in edges {
                self.check[base + class] = u8::try_from(*class).unwrap_or(FREE);
                self.next[base + class] = short(*next);
            }
        }
    }

    pub(crate) fn bytes(&self) -> usize {
        let shorts = self.starts.len() + self.base.len() + self.other.len() + self.next.len();
        self.classes.len() + self.check.len() + 2 * shorts
    }

    pub(crate) fn source(&self) -> String {
        let mut source = format!("const GOES: u16 = {GOES};\nconst END: u8 = {};\n", self.end);
        let mut array = |name: &str, of: &str, length: usize, values: String| {
            writeln!(source, "static {name}: [{of}; {length}] = {values};").expect("memory takes it");
        };
        array("CLASSES", "u8", self.classes.len(), format!("{:?}", self.classes));
        array("CHECK", "u8", self.check.len(), format!("{:?}", self.check));
        array("STARTS", "u16", self.starts.len(), format!("{:?}", self.starts));
        array("BASE", "u16", self.base.len(), format!("{:?}", self.base));
        array("OTHER", "u16", self.other.len(), format!("{:?}", self.other));
        array("NEXT", "u16", self.next.len(), format!("{:?}", self.next));
        source
    }
}
