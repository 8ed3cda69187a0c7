//! The command line as clap reads it. The comments here are the texts of `--help`.

pub(crate) mod import;

use clap::{Args, Parser, Subcommand};
use clap_complete::Shell;
use import::ImportArgs;
use std::path::PathBuf;
use visits_core::page::PageId;

const EXIT_CODES: &str = "\
Exit codes:
  0  done
  1  failed, or a part of it: a shard is unreachable or refuses, a file cannot be written
  2  the command line or the settings are wrong; no shard was asked
  3  done, and there are warnings (on standard error, or in the JSON document)

The settings are the functions' environment variables: REDIS_ENDPOINTS, REDIS_CA_FILE, VISITS_NAMESPACE,
REDIS_CONNECT_TIMEOUT and REDIS_TIMEOUT. Give endpoints with a password by the variable: other users of a machine
can see the flags of a running program.";

/// Looks after the shards of a visit counter.
#[derive(Debug, Parser)]
#[command(name = "visits", version, after_long_help = EXIT_CODES, max_term_width = 100)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) common: Common,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What every command takes.
#[derive(Args, Debug)]
pub(crate) struct Common {
    /// The shards, as name=url list, in place of `REDIS_ENDPOINTS`
    #[arg(long, global = true, value_name = "LIST", help_heading = "For all commands")]
    pub(crate) endpoints: Option<String>,
    /// First part of every key, in place of `VISITS_NAMESPACE`
    #[arg(long, global = true, value_name = "NAME", help_heading = "For all commands")]
    pub(crate) namespace: Option<String>,
    /// Answer in JSON: one object a line for lists, one document else
    #[arg(long, global = true, help_heading = "For all commands")]
    pub(crate) json: bool,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Show pages' counts
    #[command(after_help = "JSON, a line for each page: {\"page\":\"home\",\"count\":12}")]
    Get(PageList),
    /// Show which shard owns a page; asks no shard
    #[command(
        after_help = "JSON, a line for each page: {\"page\":\"home\",\"shard\":\"a\",\"endpoint\":\"redis://h:6379/0\"}"
    )]
    Owner(PageList),
    /// Show the pages with the most visits; reads all pages
    #[command(after_help = "JSON, a line for each page: {\"page\":\"home\",\"count\":12}")]
    Top(TopArgs),
    /// Show the shards' state; reads all pages' names
    #[command(after_help = "JSON, one document: {\"namespace\":…,\"shards\":[…],\"warnings\":[…]}")]
    Shards,
    /// Show what other endpoints would move; changes nothing, reads all pages' names
    #[command(
        after_help = "JSON, one document: {\"pages\":…,\"moving\":…,\"shards\":[…],\"moves\":[…],\"warnings\":[…]}"
    )]
    Plan(PlanArgs),
    /// Write all pages with their counts as JSON Lines
    #[command(after_help = "\
First line: {\"format\":\"visits-export\",\"version\":1,\"namespace\":\"visits\"}
Then for each page, in no order: {\"page\":\"home\",\"count\":12,\"bots\":1}; bots are left out where there are none")]
    Export(ExportArgs),
    /// Count what a file says, exactly once under an id: an export, an access log, counts of another counter
    #[command(after_help = "\
JSON, one document: {\"id\":…,\"result\":\"imported\",\"records\":…,\"visits\":…,\"warnings\":[…]}; a result is also
already-imported or dry-run.")]
    Import(ImportArgs),
    /// Delete the pages whose ids match a pattern, with their days, visitors and places in top lists; also on a full Redis
    #[command(after_help = "\
The sums of the whole site stay as they are. Visits that still wait in memory or as copies are counted afterwards.
JSON, one document: {\"pattern\":…,\"result\":\"deleted\",\"pages\":…,\"visits\":…,\"warnings\":[…]}; a result is also dry-run.")]
    Delete(DeleteArgs),
    /// Bring all pages to the shards that own them, to the end; may be stopped at any time, and flush-visits goes on
    #[command(after_help = "\
It takes some minutes: what was moved is kept twice until no crash can lose it. Visits are counted meanwhile.
JSON, one document: {\"ring_settled\":true,\"pages_taken\":…,\"visits_taken\":…,\"pages_delivered\":…,\"warnings\":[…]}")]
    Rehome,
    /// Write completions for a shell to standard output
    Completions(CompletionsArgs),
}

/// Pages by their ids.
#[derive(Args, Debug)]
pub(crate) struct PageList {
    /// Page ids as they are, not percent-encoded
    #[arg(required = true, value_name = "PAGE", value_parser = page)]
    pub(crate) pages: Vec<PageId>,
}

/// `visits top`.
#[derive(Args, Debug)]
pub(crate) struct TopArgs {
    /// How many pages
    #[arg(long, default_value_t = 20, value_name = "PAGES", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(crate) limit: u32,
}

/// `visits plan`.
#[derive(Args, Debug)]
pub(crate) struct PlanArgs {
    /// The shards after the change, written like `REDIS_ENDPOINTS`
    // Not `endpoints`: of two arguments with one name in a command, clap gives both the value of either.
    #[arg(value_name = "NEW_ENDPOINTS")]
    pub(crate) new_endpoints: String,
}

/// `visits export`.
#[derive(Args, Debug)]
pub(crate) struct ExportArgs {
    /// The file to write, in place of standard output. It appears when it is complete
    #[arg(long, short, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
}

/// `visits delete`.
#[derive(Args, Debug)]
pub(crate) struct DeleteArgs {
    /// A page id in which * stands for any characters
    pub(crate) pattern: String,
    /// Only show what would be deleted
    #[arg(long, conflicts_with = "yes")]
    pub(crate) dry_run: bool,
    /// Do not ask before pages are deleted
    #[arg(long)]
    pub(crate) yes: bool,
}

/// `visits completions`.
#[derive(Args, Debug)]
pub(crate) struct CompletionsArgs {
    /// The shell
    #[arg(value_name = "SHELL")]
    pub(crate) shell: Shell,
}

fn page(text: &str) -> Result<PageId, String> {
    PageId::from_decoded(text).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::Cli;
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }
}
