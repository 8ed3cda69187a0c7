//! The vendored list, and which of its patterns share a machine.

use crate::plain::plain;
use std::collections::BTreeMap;

pub(crate) struct List {
    /// Package and version.
    pub(crate) name: String,
    patterns: Vec<String>,
}

/// Patterns that are looked for in one pass.
#[derive(Default)]
pub(crate) struct Machine {
    /// Whether they match at the begin of the text only.
    pub(crate) anchored: bool,
    pub(crate) patterns: Vec<String>,
}

/// The state that a pattern keeps of the text. Determinised together, memories multiply: as one machine, today's list takes
/// 9,736 states, and as five it takes 1,199.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Memory {
    /// The part of some words that was just seen.
    Words,
    /// That something of any length goes on, too.
    Runs,
    /// Its length.
    Counts,
}

impl List {
    /// Reads `# package version …` and a pattern a line.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let (head, patterns) = text.split_once('\n').ok_or("the list is empty")?;
        let words: Vec<&str> = head.split(' ').collect();
        let ["#", package, version, ..] = words[..] else {
            return Err(format!("the list begins with `# package version`, not with {head:?}"));
        };
        Ok(Self { name: format!("{package} {version}"), patterns: patterns.lines().map(str::to_owned).collect() })
    }

    /// The machines; those come first that tell the most agents after the fewest bytes.
    pub(crate) fn machines(&self) -> Result<Vec<Machine>, String> {
        let mut machines = BTreeMap::new();
        for pattern in &self.patterns {
            let anchored = pattern.starts_with('^');
            let machine: &mut Machine = machines.entry((!anchored, memory(pattern))).or_default();
            machine.anchored = anchored;
            machine.patterns.push(plain(pattern)?);
        }
        Ok(machines.into_values().collect())
    }
}

fn memory(pattern: &str) -> Memory {
    if pattern.contains(['+', '*']) {
        Memory::Runs
    } else if pattern.contains('{') {
        Memory::Counts
    } else {
        Memory::Words
    }
}
