//! `visits import` as clap reads it.

use clap::{Args, ValueEnum};
use std::path::PathBuf;
use visits_core::page::PageId;
use visits_core::store::imports::ImportId;
use visits_import::PagePattern;

/// `visits import`.
#[derive(Args, Debug)]
pub(crate) struct ImportArgs {
    /// The file to read; `-` for standard input
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// Names this import. Repeated under the same id it counts nothing twice: so an interrupted one is brought to its end
    #[arg(long, value_name = "ID", required_unless_present = "dry_run")]
    pub(crate) id: Option<ImportId>,
    /// What the file is
    #[arg(long, value_enum, default_value_t = Format::Visits, value_name = "FORMAT")]
    pub(crate) from: Format,
    /// Only read the file, and show what would be counted
    #[arg(long)]
    pub(crate) dry_run: bool,
    #[command(flatten)]
    pub(crate) log: LogArgs,
    #[command(flatten)]
    pub(crate) other: OtherArgs,
}

/// The formats by the programs that write them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// An export of this counter
    Visits,
    /// An access log, common or combined
    Nginx,
    /// An access log, common or combined
    Apache,
    /// A CSV export
    Goatcounter,
    /// Answers of counters, as JSON objects
    Countapi,
}

/// The methods that may stand for a visit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Method {
    Get,
    Post,
}

/// Options of access logs.
#[derive(Args, Debug)]
#[command(next_help_heading = "For nginx and apache")]
pub(crate) struct LogArgs {
    /// Which part of a path is the page id [default: /{page}]
    #[arg(long, value_name = "PATTERN")]
    pub(crate) pattern: Option<PagePattern>,
    /// Count images, styles, scripts, fonts and feeds too
    #[arg(long)]
    pub(crate) count_assets: bool,
    /// Leave out bots, by what their agents say of themselves, and requests without an agent; else they count as bots'
    /// (combined logs)
    #[arg(long)]
    pub(crate) skip_bots: bool,
    /// The method of a visit: that of a site's log, or of a counter's [default: get]
    #[arg(long, value_enum, value_name = "METHOD")]
    pub(crate) method: Option<Method>,
}

/// Options of the other formats.
#[derive(Args, Debug)]
pub(crate) struct OtherArgs {
    /// Take `/about/` and `/about` for two pages, as `counter.js` does with `data-slash="keep"`
    #[arg(long, help_heading = "For nginx, apache and goatcounter")]
    pub(crate) keep_slash: bool,
    /// The page id of the path `/` [default: /]
    #[arg(long, value_name = "PAGE", value_parser = super::page, help_heading = "For nginx, apache and goatcounter")]
    pub(crate) index: Option<PageId>,
    /// Count visits of bots too, as bots'
    #[arg(long, help_heading = "For goatcounter")]
    pub(crate) count_bots: bool,
    /// The page of objects that name none
    #[arg(long, value_name = "PAGE", value_parser = super::page, help_heading = "For countapi")]
    pub(crate) page: Option<PageId>,
    /// Make a namespace the first part of the page id
    #[arg(long, help_heading = "For countapi")]
    pub(crate) keep_namespace: bool,
}
