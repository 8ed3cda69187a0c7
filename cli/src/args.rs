//! The command line as clap reads it, and the settings that it makes with the functions' environment variables. The comments of
//! its types are the texts of `--help`.

use crate::output::{Failure, USAGE, printable};
use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use std::ffi::OsString;
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;
use visits_core::config::{Config, masked};
use visits_core::page::PageId;
use visits_core::store::imports::ImportId;
use visits_import::PagePattern;

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

/// Flags of every command.
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
    /// Most pages to show
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

/// `visits import`.
#[derive(Args, Debug)]
pub(crate) struct ImportArgs {
    /// The file to read; `-` for standard input
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// Names this import. Repeated under the same id it counts nothing twice: so an interrupted one is brought to its end
    #[arg(long, value_name = "ID", required_unless_present = "dry_run")]
    pub(crate) id: Option<ImportId>,
    /// Format of the file
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
    #[arg(long, value_name = "PAGE", value_parser = page, help_heading = "For nginx, apache and goatcounter")]
    pub(crate) index: Option<PageId>,
    /// Count visits of bots too, as bots'
    #[arg(long, help_heading = "For goatcounter")]
    pub(crate) count_bots: bool,
    /// The page of objects that name none
    #[arg(long, value_name = "PAGE", value_parser = page, help_heading = "For countapi")]
    pub(crate) page: Option<PageId>,
    /// Make a namespace the first part of the page id
    #[arg(long, help_heading = "For countapi")]
    pub(crate) keep_namespace: bool,
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

impl Common {
    /// Returns the settings of this call: the environment variables, with the flags on top.
    pub(crate) fn settings(&self) -> Result<Config, Failure> {
        let endpoints = given("--endpoints", self.endpoints.as_deref())?;
        let namespace = given("--namespace", self.namespace.as_deref())?;
        let flag = |name: &str| match name {
            "REDIS_ENDPOINTS" => endpoints.clone(),
            "VISITS_NAMESPACE" => namespace.clone(),
            _ => None,
        };
        Ok(Config::from_vars(|name| flag(name).or_else(|| std::env::var_os(name)))?)
    }

    /// Returns the same settings with other endpoints, as they are planned.
    pub(crate) fn planned(&self, endpoints: &str) -> Result<Config, Failure> {
        given("NEW_ENDPOINTS", Some(endpoints))?;
        let planned = Self { endpoints: Some(endpoints.to_owned()), namespace: self.namespace.clone(), ..*self };
        let wrong = |error| Failure::Usage(format!("NEW_ENDPOINTS, read as REDIS_ENDPOINTS: {error}"));
        planned.settings().map_err(wrong)
    }
}

/// Refuses an empty value: it would leave the variable's default, which cannot be meant.
fn given(argument: &str, value: Option<&str>) -> Result<Option<OsString>, Failure> {
    match value {
        Some(text) if text.trim().is_empty() => Err(Failure::Usage(format!("{argument} is empty"))),
        value => Ok(value.map(OsString::from)),
    }
}

/// Writes help and version to standard output, an error to standard error, and returns the exit code. Passwords are masked: clap
/// repeats the argument that it does not know, and that may be a list of endpoints.
pub(crate) fn report(error: &clap::Error) -> ExitCode {
    let text = mask(&error.render().to_string(), std::env::args_os().skip(1).map(|arg| arg.to_string_lossy().into()));
    let text = printable(&text);
    // A closed stream leaves no way to report anything.
    if error.use_stderr() {
        let _ = write!(io::stderr(), "{text}");
        USAGE.into()
    } else {
        let _ = write!(io::stdout(), "{text}");
        ExitCode::SUCCESS
    }
}

fn mask(text: &str, args: impl Iterator<Item = String>) -> String {
    // Of `--flag=value`, clap repeats each part on its own.
    let parts = args.flat_map(|arg| [arg.split_once('=').map(|(_, value)| value.to_owned()), Some(arg)]);
    let mut secret: Vec<String> = parts.flatten().filter(|part| masked(part) != part.as_str()).collect();
    // The longest first: one may be a part of another.
    secret.sort_by_key(|part| std::cmp::Reverse(part.len()));
    secret.iter().fold(text.to_owned(), |text, part| text.replace(part.as_str(), masked(part)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_password_in_an_argument_is_masked_where_the_message_repeats_it() {
        for arg in ["a=redis://:SECRET@h", "--endpoint=a=redis://:SECRET@h", "redis://u:SECRET@h"] {
            let value = arg.strip_prefix("--endpoint=").unwrap_or(arg);
            let message = format!("error: unexpected argument '{value}' found, and '{arg}'");
            let shown = mask(&message, [arg.to_owned()].into_iter());
            assert!(!shown.contains("SECRET") && shown.contains("***"), "{shown}");
        }
        let (message, args) =
            ("error: unexpected argument '--all' found", ["get", "--all", "a/b=c"].map(str::to_owned));
        assert_eq!(mask(message, args.into_iter()), message);
    }
}
