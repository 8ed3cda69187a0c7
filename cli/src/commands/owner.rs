//! `visits owner`: which shard owns a page. A pure function of the ring: no shard is asked.

use crate::args::PageList;
use crate::exit::{Failure, Outcome};
use crate::output::Output;
use crate::table::{Align, Table};
use serde::Serialize;
use visits_core::config::Config;
use visits_core::shard::ShardConfig;

#[derive(Serialize)]
struct Owner<'a> {
    page: &'a str,
    shard: &'a str,
    endpoint: String,
}

/// Shows the owners in the order of the pages.
pub(crate) fn run(args: &PageList, config: &Config, output: &mut Output) -> Result<Outcome, Failure> {
    let ring = config.ring();
    let mut table = Table::bare(&[Align::Left, Align::Left]);
    for page in &args.pages {
        let ShardConfig { name, endpoint, .. } = &config.shards[ring.owner(page.as_str())];
        if output.is_json() {
            output.object(&Owner { page: page.as_str(), shard: name.as_str(), endpoint: endpoint.to_string() })?;
        } else {
            table.row([name.to_string(), page.to_string()]);
        }
    }
    output.text(&table.render())?;
    Ok(Outcome::Done)
}
