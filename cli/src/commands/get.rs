//! `visits get`: pages' counts.

use crate::args::PageList;
use crate::exit::{Failure, Outcome};
use crate::output::Output;
use crate::rings::Rings;
use crate::shards::Shards;
use crate::table::{Align, Table};
use crate::warnings::Warnings;
use serde::Serialize;
use visits_core::batch::MAX_BATCH_PAGES;
use visits_core::page::PageId;

/// A page and its count, as `get` and `top` write them.
#[derive(Serialize)]
struct Counted<'a> {
    page: &'a str,
    count: u64,
}

/// Shows the counts in the order of the pages. A page whose record is damaged is told of and left out.
pub(crate) async fn run(args: &PageList, shards: &Shards, output: &mut Output) -> Result<Outcome, Failure> {
    let (mut counted, mut damaged, mut warnings) = (Vec::new(), Vec::new(), Warnings::default());
    Rings::ask(shards).await?.warn(shards, &mut warnings);
    for pages in args.pages.chunks(MAX_BATCH_PAGES) {
        for (page, count) in pages.iter().zip(shards.counts(pages).await?) {
            match count {
                Ok(count) => counted.push((page, count.visits)),
                Err(reason) => damaged.push(format!("the page {page} cannot be counted: {reason}")),
            }
        }
    }
    write(&counted, output)?;
    let warnings = warnings.list();
    output.tell(&damaged, &warnings)?;
    Ok(if damaged.is_empty() { Outcome::with(&warnings) } else { Outcome::Incomplete })
}

/// Writes a page on each line.
pub(super) fn write(counted: &[(&PageId, u64)], output: &mut Output) -> Result<(), Failure> {
    let mut table = Table::bare(&[Align::Right, Align::Left]);
    for (page, count) in counted {
        if output.is_json() {
            output.object(&Counted { page: page.as_str(), count: *count })?;
        } else {
            table.row([count.to_string(), page.to_string()]);
        }
    }
    Ok(output.text(&table.render())?)
}
