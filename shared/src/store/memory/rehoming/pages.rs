//! A page's record in memory on its way to another shard, and the notes that its visits leave and bring.

use crate::page::PageId;
use crate::record::{PageRecord, Tag};
use crate::store::rehoming::Cleaning;
use std::collections::BTreeMap;

/// Takes what a page counts out of its record: the fields, as Redis has them.
pub(super) fn take(record: &mut PageRecord, tag: Tag) -> Vec<(String, u64)> {
    let (total, bots) = (std::mem::take(&mut record.total), std::mem::take(&mut record.bots));
    let mut fields = Vec::new();
    for (field, number, out) in [("bots", bots, &mut record.bots_out), ("total", total, &mut record.moved_out)] {
        if number > 0 {
            *out.entry(tag).or_default() += number;
            fields.push((field.to_owned(), number));
        }
    }
    fields
}

/// Adds what was taken from another shard, under the tag it had there.
pub(super) fn land(record: &mut PageRecord, fields: &[(String, u64)], source: &(String, Tag)) {
    for (field, number) in fields {
        let (here, came) = match field.as_str() {
            "total" => (&mut record.total, &mut record.moved_in),
            "bots" => (&mut record.bots, &mut record.bots_in),
            _ => continue,
        };
        *here += number;
        *came.entry(source.clone()).or_default() += number;
    }
}

/// Deletes the notes that are over. Whether the record is still there.
pub(super) fn clean(records: &mut BTreeMap<PageId, PageRecord>, page: &PageId, cleaning: &Cleaning) -> bool {
    let Some(record) = records.get_mut(page) else { return false };
    match cleaning {
        Cleaning::Out { before } => {
            record.moved_out.retain(|tag, _| tag >= before);
            record.bots_out.retain(|tag, _| tag >= before);
        }
        Cleaning::In { before } => {
            let is_over = |shard: &str, tag: Tag| before.iter().any(|(from, of)| from.as_str() == shard && tag < *of);
            record.moved_in.retain(|(shard, tag), _| !is_over(shard, *tag));
            record.bots_in.retain(|(shard, tag), _| !is_over(shard, *tag));
        }
    }
    if *record == PageRecord::default() {
        records.remove(page);
        return false;
    }
    true
}
