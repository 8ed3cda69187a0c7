//! The same document as tables.

use super::tally::Document;
use crate::share::percent;
use crate::table::{Align, Table};

/// A row for each shard, a row for each pair of shards between which pages move, and the sum.
pub(super) fn text(document: &Document) -> String {
    let Document { pages, moving, moving_share, least_share, .. } = document;
    let (share, least) = (percent(*moving_share), percent(*least_share));
    let sum = format!("{moving} of {pages} pages would move ({share}); these weights need {least} at least.\n");
    let mut parts = vec![shards(document)];
    if !document.moves.is_empty() {
        parts.push(moves(document));
    }
    parts.push(sum);
    parts.join("\n")
}

fn shards(document: &Document) -> String {
    let mut table = Table::new(&[
        ("SHARD", Align::Left),
        ("CHANGE", Align::Left),
        ("WEIGHT", Align::Right),
        ("PAGES NOW", Align::Right),
        ("PAGES THEN", Align::Right),
        ("SHARE THEN", Align::Right),
        ("IDEAL", Align::Right),
    ]);
    let weight = |weight: Option<u8>| weight.map_or_else(|| "-".to_owned(), |weight| weight.to_string());
    for shard in &document.shards {
        table.row([
            shard.shard.clone(),
            format!("{:?}", shard.change).to_lowercase(),
            format!("{} -> {}", weight(shard.weight_before), weight(shard.weight_after)),
            shard.pages_before.to_string(),
            shard.pages_after.to_string(),
            percent(shard.share_after),
            percent(shard.ideal_share),
        ]);
    }
    table.render()
}

fn moves(document: &Document) -> String {
    let columns = [("FROM", Align::Left), ("TO", Align::Left), ("PAGES", Align::Right), ("OF ALL", Align::Right)];
    let mut table = Table::new(&columns);
    for moved in &document.moves {
        table.row([moved.from.clone(), moved.to.clone(), moved.pages.to_string(), percent(moved.share)]);
    }
    table.render()
}
