//! What an import or a trial did.

use crate::exit::{Failure, Outcome};
use crate::output::{NO_ERRORS, Output, counted};
use serde::Serialize;
use visits_core::store::imports::ImportId;
use visits_import::{Imported, Outcome as Ended, Summary};

/// How it ended.
#[derive(Clone, Copy, Default, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Ending {
    Imported,
    AlreadyImported,
    #[default]
    DryRun,
}

/// The document; numbers are of the whole input.
#[derive(Default, Serialize)]
pub(super) struct Report {
    id: Option<String>,
    result: Ending,
    records: u64,
    counted: u64,
    ignored: u64,
    bad: u64,
    visits: u64,
    bots: u64,
    batches_sent: u64,
    batches_found: u64,
    visits_rejected: u64,
    warnings: Vec<String>,
}

impl Report {
    pub(super) fn surveyed(summary: &Summary) -> Self {
        let mut warnings = Vec::new();
        if summary.bad > 0 {
            warnings.push(format!("{} of {} records cannot be read", summary.bad, summary.records));
            warnings.extend(summary.bad_records.iter().map(ToString::to_string));
        }
        let &Summary { records, counted, ignored, bad, visits, bots, .. } = summary;
        Self { records, counted, ignored, bad, visits, bots, warnings, ..Self::default() }
    }

    pub(super) fn imported(id: &ImportId, ended: Ended) -> Self {
        let id = Some(id.to_string());
        match ended {
            Ended::Imported(imported) => Self { id, result: Ending::Imported, ..Self::of(&imported) },
            Ended::AlreadyImported => Self { id, result: Ending::AlreadyImported, ..Self::default() },
        }
    }

    fn of(imported: &Imported) -> Self {
        let &Imported { batches_sent, batches_found, visits_rejected, .. } = imported;
        let mut report = Self { batches_sent, batches_found, visits_rejected, ..Self::surveyed(&imported.summary) };
        if visits_rejected > 0 {
            report.warnings.push(format!("{} not counted", counted(visits_rejected, "visit", "visits")));
            let reasons =
                imported.rejected.iter().map(|one| format!("the page {} takes none: {}", one.page, one.reason));
            report.warnings.extend(reasons);
        }
        report
    }

    pub(super) fn write(&self, output: &mut Output) -> Result<Outcome, Failure> {
        if output.is_json() {
            output.object(self)?;
        } else {
            output.text(&self.sentence())?;
            output.tell(NO_ERRORS, &self.warnings)?;
        }
        Ok(Outcome::with(&self.warnings))
    }

    fn sentence(&self) -> String {
        let visits = counted(self.visits, "visit", "visits");
        let Self { records, counted, ignored, bad, bots, .. } = self;
        let found = format!(
            "{visits}, {bots} of them by bots, in {counted} of {records} records ({ignored} stand for none, {bad} \
             are bad)"
        );
        match self.result {
            Ending::Imported => format!("Imported {found}.\n"),
            Ending::DryRun => format!("Would import {found}.\n"),
            Ending::AlreadyImported => "This import was done before; nothing was counted again.\n".to_owned(),
        }
    }
}
