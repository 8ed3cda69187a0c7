//! Figures of a run, as `docs/performance/figures.json` keeps them and the report shows them.

use crate::{Effort, Known};
use serde::Serialize;
use std::any::Any;
use std::panic::catch_unwind;
use std::path::Path;
use std::process::Command;
use std::{fmt, fs, io};

/// All of one run.
#[derive(Clone, Debug, Serialize)]
pub struct Figures {
    /// Where it ran.
    machine: Vec<(&'static str, String)>,
    /// The groups that ran, in their order.
    pub groups: Vec<Group>,
}

/// A table of what is measured together.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Group {
    /// Name, which the report's marker in the document has, too.
    pub id: String,
    /// Heading of the second column.
    pub compared_with: String,
    /// The lines.
    pub rows: Vec<Row>,
    /// Why there are none, where measuring failed.
    pub failed: Option<String>,
}

/// One line of a table.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    /// Name of the measured quantity.
    pub what: String,
    /// Unit: `1/s`, `us`, `ns`, `bytes` or another word.
    pub unit: String,
    /// Our figure.
    pub ours: f64,
    /// The figure that it is compared with.
    pub other: Option<f64>,
    /// The ratio to be judged: ours / other unless stated otherwise; none where our figure is judged.
    pub ratio: Option<f64>,
    /// Goal of the ratio or, without one, of our figure.
    pub goal: Option<Goal>,
}

/// A bound.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Goal {
    /// Not more than this.
    AtMost(f64),
    /// Not less than this.
    AtLeast(f64),
}

impl Group {
    /// Returns a table, named as the group is in [`GROUPS`](crate::GROUPS).
    pub fn new(id: &str, compared_with: &str, rows: Vec<Row>) -> Self {
        Self { id: id.into(), compared_with: compared_with.into(), rows, failed: None }
    }
}

impl Row {
    /// Returns a line that compares two figures.
    pub fn compared(what: impl Into<String>, unit: &str, ours: f64, other: f64) -> Self {
        Self { other: Some(other), ratio: Some(ours / other), ..Self::alone(what, unit, ours) }
    }

    /// Returns a line with one figure.
    pub fn alone(what: impl Into<String>, unit: &str, ours: f64) -> Self {
        Self { what: what.into(), unit: unit.into(), ours, other: None, ratio: None, goal: None }
    }

    /// Sets a goal.
    #[must_use]
    pub fn at_most(self, bound: f64) -> Self {
        Self { goal: Some(Goal::AtMost(bound)), ..self }
    }

    /// Sets a goal.
    #[must_use]
    pub fn at_least(self, bound: f64) -> Self {
        Self { goal: Some(Goal::AtLeast(bound)), ..self }
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {:.4} {}, other {:?}, ratio {:?}", self.what, self.ours, self.unit, self.other, self.ratio)
    }
}

/// Measures groups one after the other and writes all figures to `file` after each, so that an end halfway keeps what is
/// measured. A group that panics has its reason in place of figures, and costs no other.
///
/// # Errors
/// If the file cannot be written.
pub fn measure(groups: &[Known], effort: Effort, file: &Path) -> io::Result<Figures> {
    let mut figures = Figures { machine: machine(), groups: Vec::new() };
    for (id, run) in groups {
        eprintln!("{id}");
        let group = catch_unwind(|| run(effort))
            .unwrap_or_else(|panic| Group { failed: Some(reason(&*panic)), ..Group::new(id, "", Vec::new()) });
        group.rows.iter().for_each(|row| eprintln!("  {row}"));
        figures.groups.push(group);
        let partial = file.with_extension("partial");
        fs::write(&partial, serde_json::to_string_pretty(&figures)?)?;
        fs::rename(partial, file)?;
    }
    Ok(figures)
}

/// Returns the message of a panic.
fn reason(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().cloned();
    text.or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string)).unwrap_or_else(|| "it panicked".to_owned())
}

/// Describes the machine, and the versions of what was measured.
fn machine() -> Vec<(&'static str, String)> {
    let field = |file: &str, name: &str| {
        let text = fs::read_to_string(file).unwrap_or_default();
        let value = text.lines().find_map(|line| line.strip_prefix(name)?.split_once(':'));
        value.map(|(_, value)| value.trim().to_owned()).unwrap_or_default()
    };
    let first_line = |program: &str, argument: &str| {
        let output = Command::new(program).arg(argument).output();
        let text = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
        text.lines().next().unwrap_or_default().split(" sha=").next().unwrap_or_default().to_owned()
    };
    vec![
        ("cpu", field("/proc/cpuinfo", "model name")),
        ("cores", std::thread::available_parallelism().map_or(0, usize::from).to_string()),
        ("memory", field("/proc/meminfo", "MemTotal")),
        ("kernel", first_line("uname", "-sr")),
        ("rustc", first_line("rustc", "--version")),
        ("redis", first_line(&test_support::redis_program().to_string_lossy(), "--version")),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};
    use std::sync::OnceLock;
    use tempfile::TempDir;

    static FOLDER: OnceLock<TempDir> = OnceLock::new();

    fn written() -> Value {
        let text = fs::read(FOLDER.get().unwrap().path().join("figures.json")).unwrap_or_else(|_| b"{}".to_vec());
        serde_json::from_slice::<Value>(&text).unwrap()["groups"].take()
    }

    fn good(_: Effort) -> Group {
        let before = written().as_array().map_or(0, Vec::len);
        Group::new("good", "", vec![Row::alone("groups written before", "", before as f64)])
    }

    fn bad(_: Effort) -> Group {
        panic!("no answer from {}", 7)
    }

    #[test]
    fn a_group_that_fails_costs_its_own_figures_only_and_each_is_written_as_it_comes() {
        let file = FOLDER.get_or_init(|| TempDir::new().unwrap()).path().join("figures.json");
        measure(&[("good", good), ("bad", bad), ("good", good)], Effort::Quick, &file).unwrap();
        let groups = written();
        let found = [0, 1, 2].map(|group| (&groups[group]["failed"], &groups[group]["rows"][0]["ours"]));
        let failed = json!("no answer from 7");
        assert_eq!(found, [(&Value::Null, &json!(0.0)), (&failed, &Value::Null), (&Value::Null, &json!(2.0))]);
    }
}
