//! What a run of the benchmark finds, as `docs/performance/figures.json` keeps it and the report shows it.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::path::Path;
use std::{fmt, fs, io};

/// All of one run.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Figures {
    /// Where it ran.
    pub machine: Value,
    /// The groups that ran, in their order.
    pub groups: Vec<Group>,
}

/// One group: what is measured together, in one table, with its plots.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Group {
    /// Short name, for the command line and the files.
    pub id: String,
    /// Heading.
    pub title: String,
    /// What ours is compared with: the heading of the second column.
    pub compared_with: String,
    /// The table.
    pub rows: Vec<Row>,
    /// The plots.
    pub plots: Vec<Plot>,
    /// How it was measured, and what else a reader must know: a sentence each.
    pub notes: Vec<String>,
    /// The raw figures, of any shape.
    pub raw: Value,
    /// Why there are none, where measuring failed.
    pub failed: Option<String>,
}

/// One line of a table.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Row {
    /// What is measured.
    pub what: String,
    /// Its unit: `1/s`, `us`, `ms`, `ns`, `bytes`, `MB`, `calls` or another word.
    pub unit: String,
    /// Our figure.
    pub ours: f64,
    /// The other's.
    pub other: Option<f64>,
    /// What is to be judged: ours / other unless said otherwise.
    pub ratio: Option<f64>,
    /// What the ratio (or, without one, our figure) must reach.
    pub goal: Option<Goal>,
}

/// A bound.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Goal {
    /// Not more than this.
    AtMost(f64),
    /// Not less than this.
    AtLeast(f64),
}

/// A plot.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Plot {
    /// Name of its file, without the ending.
    pub id: String,
    /// Heading.
    pub title: String,
    /// Bars for each point's label, or lines.
    pub kind: PlotKind,
    /// The axes.
    pub x: Axis,
    /// The axes.
    pub y: Axis,
    /// One colour each.
    pub series: Vec<Series>,
}

/// How the points of a plot are drawn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PlotKind {
    /// `x` numbers the bars, whose names are the axis' `names`.
    #[default]
    Bars,
    /// Points joined by lines.
    Lines,
}

/// An axis.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Axis {
    /// What it shows, with the unit.
    pub label: String,
    /// Logarithmic.
    pub log: bool,
    /// Of a bar chart: the names of the bars.
    pub names: Vec<String>,
}

/// Points that belong together.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Series {
    /// Its name in the legend.
    pub name: String,
    /// `(x, y)`.
    pub points: Vec<(f64, f64)>,
}

impl Figures {
    /// Writes them to a file, which is whole at every moment.
    pub fn write(&self, file: &Path) -> io::Result<()> {
        let partial = file.with_extension("partial");
        fs::write(&partial, serde_json::to_string_pretty(self)? + "\n")?;
        fs::rename(partial, file)
    }
}

impl Group {
    /// A group without figures yet.
    pub fn new(id: &str, title: &str, compared_with: &str, notes: &[&str]) -> Self {
        let notes = notes.iter().map(|note| (*note).to_owned()).collect();
        Self { id: id.into(), title: title.into(), compared_with: compared_with.into(), notes, ..Self::default() }
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {:.4} {}", self.what, self.ours, self.unit)?;
        if let Some(other) = self.other {
            write!(f, ", other {other:.4}")?;
        }
        if let Some(ratio) = self.ratio {
            write!(f, ", ratio {ratio:.3}")?;
        }
        Ok(())
    }
}

impl Row {
    /// A line that compares two figures: their ratio is ours / other.
    pub fn compared(what: impl Into<String>, unit: &str, ours: f64, other: f64, goal: Option<Goal>) -> Self {
        Self { what: what.into(), unit: unit.into(), ours, other: Some(other), ratio: Some(ours / other), goal }
    }

    /// A line with one figure.
    pub fn alone(what: impl Into<String>, unit: &str, ours: f64, goal: Option<Goal>) -> Self {
        Self { what: what.into(), unit: unit.into(), ours, other: None, ratio: None, goal }
    }
}

impl Plot {
    /// A bar chart, if the axis names bars, or else lines.
    pub fn new(id: &str, title: &str, x: Axis, y: Axis, series: Vec<Series>) -> Self {
        let kind = if x.names.is_empty() { PlotKind::Lines } else { PlotKind::Bars };
        Self { id: id.into(), title: title.into(), kind, x, y, series }
    }
}

impl Series {
    /// The bars of a bar chart, in the order of the axis' names.
    pub fn bars(name: &str, values: impl IntoIterator<Item = f64>) -> Self {
        let points = (0_u32..).zip(values).map(|(number, value)| (f64::from(number), value)).collect();
        Self { name: name.into(), points }
    }
}

impl Axis {
    /// A linear axis.
    pub fn linear(label: &str) -> Self {
        Self { label: label.into(), log: false, names: Vec::new() }
    }

    /// A logarithmic axis.
    pub fn log(label: &str) -> Self {
        Self { log: true, ..Self::linear(label) }
    }

    /// The axis of a bar chart.
    pub fn named(names: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self { names: names.into_iter().map(Into::into).collect(), ..Self::default() }
    }
}
