//! The table of figures.

use std::fmt::{self, Display, Write as _};

/// One figure of a scenario.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// The scenario.
    pub scenario: String,
    /// Name of the figure.
    pub figure: &'static str,
    /// Value of the figure.
    pub found: String,
    /// Whether a claim held; `None` where the figure is only reported.
    pub holds: Option<bool>,
}

impl Row {
    /// A figure that is only reported.
    pub fn told(scenario: impl Into<String>, figure: &'static str, found: impl Display) -> Self {
        Self { scenario: scenario.into(), figure, found: found.to_string(), holds: None }
    }

    /// A figure about which a claim is made.
    pub fn claimed(scenario: impl Into<String>, figure: &'static str, found: impl Display, holds: bool) -> Self {
        Self { holds: Some(holds), ..Self::told(scenario, figure, found) }
    }
}

/// All rows, as a Markdown table.
#[derive(Clone, Debug, Default)]
pub struct Report(pub Vec<Row>);

impl Report {
    /// Whether every claim held.
    pub fn holds(&self) -> bool {
        self.0.iter().all(|row| row.holds != Some(false))
    }
}

impl Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("| scenario | figure | found | |\n| --- | --- | --- | --- |\n")?;
        let mut before = "";
        for Row { scenario, figure, found, holds } in &self.0 {
            let mark = holds.map_or("", |holds| if holds { "holds" } else { "FAILS" });
            let shown = if scenario == before { "" } else { scenario };
            writeln!(f, "| {shown} | {figure} | {found} | {mark} |")?;
            before = scenario;
        }
        f.write_char('\n')
    }
}
