//! The groups of figures: one file each, with a `run` that measures and returns them.

pub mod calls;
pub mod concurrency;
pub mod flush;
pub mod growth;
pub mod init;
pub mod memory;
pub mod metrics;
pub mod micro;
pub mod million;
pub mod money;
pub mod placing;
pub mod python;
pub mod rate;
pub mod redis_memory;
pub mod size;
pub mod statistics;
pub mod waiting;

use crate::effort::Effort;
use crate::figures::{Figures, Group};
use crate::machine;
use std::any::Any;
use std::io;
use std::panic::catch_unwind;
use std::path::Path;

/// A group that can be run: its id, and what measures it.
pub type Known = (&'static str, fn(Effort) -> Group);

/// All groups, in the order of the report.
pub const ALL: &[Known] = &[
    ("rate", rate::run),
    ("python", python::run),
    ("init", init::run),
    ("size", size::run),
    ("memory", memory::run),
    ("metrics", metrics::run),
    ("waiting", waiting::run),
    ("concurrency", concurrency::run),
    ("flush", flush::run),
    ("calls", calls::run),
    ("placing", placing::run),
    ("million", million::run),
    ("redis_memory", redis_memory::run),
    ("growth", growth::run),
    ("statistics", statistics::run),
    ("money", money::run),
    ("micro", micro::run),
];

/// Measures groups one after the other and writes all figures to `file` after each, so that an end halfway keeps what is
/// measured. A group that panics has its reason in place of figures, and costs no other.
///
/// # Errors
/// If the file cannot be written.
pub fn measure(groups: &[Known], effort: Effort, file: &Path) -> io::Result<Figures> {
    let mut figures = Figures { machine: machine::describe(), groups: Vec::new() };
    figures.write(file)?;
    for (id, run) in groups {
        eprintln!("{id}");
        let group = catch_unwind(|| run(effort)).unwrap_or_else(|panic| {
            let failed = Some(reason(&*panic));
            Group { id: (*id).to_owned(), failed, ..Group::default() }
        });
        group.rows.iter().for_each(|row| eprintln!("  {row}"));
        figures.groups.push(group);
        figures.write(file)?;
    }
    Ok(figures)
}

/// Returns the message of a panic.
fn reason(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().cloned();
    text.or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string)).unwrap_or_else(|| "it panicked".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::figures::Row;
    use std::sync::OnceLock;
    use tempfile::TempDir;

    static FOLDER: OnceLock<TempDir> = OnceLock::new();

    fn written() -> Vec<Group> {
        let text = std::fs::read(FOLDER.get().unwrap().path().join("figures.json")).unwrap();
        serde_json::from_slice::<Figures>(&text).unwrap().groups
    }

    fn good(_: Effort) -> Group {
        let rows =
            vec![Row::alone("groups written before", "", f64::from(u8::try_from(written().len()).unwrap()), None)];
        Group { id: "good".to_owned(), rows, ..Group::default() }
    }

    fn bad(_: Effort) -> Group {
        panic!("no answer from {}", 7)
    }

    #[test]
    fn a_group_that_fails_costs_its_own_figures_only_and_each_is_written_as_it_comes() {
        let file = FOLDER.get_or_init(|| TempDir::new().unwrap()).path().join("figures.json");
        measure(&[("good", good), ("bad", bad), ("good", good)], Effort::Quick, &file).unwrap();
        let groups = written();
        let found: Vec<_> = groups.iter().map(|group| (group.id.as_str(), group.failed.as_deref())).collect();
        assert_eq!(found, [("good", None), ("bad", Some("no answer from 7")), ("good", None)]);
        let rows = [&groups[0], &groups[2]].map(|group| group.rows[0].to_string());
        assert_eq!(rows, ["groups written before: 0.0000 ", "groups written before: 2.0000 "]);
    }
}
