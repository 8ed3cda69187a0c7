//! Makes one table of the list's patterns: determinised by `regex-automata`, minimised, and packed (see `src/table.rs`).

#[path = "build/automaton.rs"]
mod automaton;
#[path = "build/list.rs"]
mod list;
#[path = "build/pack.rs"]
mod pack;
#[path = "build/plain.rs"]
mod plain;

use automaton::Automaton;
use list::List;
use std::error::Error;
use std::path::PathBuf;
use std::{env, fs};

/// In bytes. Far above what today's list takes: a list that needs more has a pattern whose kind deserves a machine of
/// its own, and would be paid for by the start of every function.
const MOST_TABLE: usize = 24 * 1024;

fn main() -> Result<(), Box<dyn Error>> {
    let path = "patterns/isbot.txt";
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=build");
    println!("cargo::rerun-if-changed={path}");
    let list = List::parse(&fs::read_to_string(path)?)?;
    let mut automaton = Automaton::default();
    for machine in list.machines()? {
        automaton.add(&machine)?;
    }
    let table = pack::pack(&automaton.minimised())?;
    if table.bytes() > MOST_TABLE {
        return Err(format!("the table has {} bytes, more than {MOST_TABLE}", table.bytes()).into());
    }
    let source =
        format!("{}\n/// See [`crate::LIST`].\npub(crate) const LIST: &str = {:?};\n", table.source(), list.name);
    fs::write(PathBuf::from(env::var("OUT_DIR")?).join("table.rs"), source)?;
    Ok(())
}
