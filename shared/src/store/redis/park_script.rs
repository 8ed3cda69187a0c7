//! How parked copies are laid out: the arguments of `park.lua`, and what it stores.

use super::script::millis;
use crate::batch::{Batch, BatchId, Content};
use crate::clock::Moment;
use crate::store::Incarnation;
use crate::store::parking::{Mark, Park, ParkedCopy};
use redis::ScriptInvocation;
use std::sync::Arc;
use std::time::Duration;

/// Version of the layout of the script's arguments and of a copy.
const FORMAT: &str = "1";

pub(super) fn park_arguments(script: &mut ScriptInvocation<'_>, park: &Park, most_bytes: u64) {
    script.arg(FORMAT).arg(park.owner.as_str()).arg(most_bytes);
    for (batch, age) in &park.batches {
        let id = BatchId { writer: park.writer, sequence: batch.sequence() };
        script.arg(id.to_string()).arg(millis(*age)).arg(batch.encode());
    }
}

/// A mark as `mark.lua` writes it.
pub(super) fn mark_text(mark: Mark) -> String {
    format!("{} {}", mark.at, mark.owner.0)
}

/// Reads a copy, `now` on the clock of the shard that it is parked on; the error says what is wrong with it.
pub(super) fn copy(field: &[u8], value: &[u8], delivered: Option<&str>, now: u64) -> Result<ParkedCopy, String> {
    let id = std::str::from_utf8(field).ok().and_then(|id| id.parse::<BatchId>().ok());
    let id = id.ok_or("its name is not the id of a batch")?;
    let mut parts = value.splitn(3, |byte| *byte == b' ');
    let mut part = || parts.next().ok_or("it is cut off");
    let (format, sealed, increments) = (part()?, part()?, part()?);
    if format != FORMAT.as_bytes() {
        return Err(format!("its format is {}; {FORMAT} is accepted", String::from_utf8_lossy(format)));
    }
    let sealed = std::str::from_utf8(sealed).ok().and_then(|millis| millis.parse::<u64>().ok());
    let sealed = sealed.ok_or("its time of sealing is no number")?;
    let content = Content::decode(increments).map_err(|error| error.to_string())?;
    let sealed_at = Moment::new(Duration::ZERO, Duration::ZERO);
    Ok(ParkedCopy {
        id,
        // Its age is what counts; the moment of sealing is another clock's.
        batch: Arc::new(Batch::of(id.sequence, content, sealed_at)),
        age: Duration::from_millis(now.saturating_sub(sealed)),
        // A damaged mark counts as none: then the copy is only delivered once more.
        delivered: delivered.and_then(|text| mark(text, now)),
    })
}

/// Reads a mark as `mark.lua` writes it; none where it is damaged.
pub(super) fn mark(text: &str, now: u64) -> Option<Mark> {
    let (at, owner) = text.split_once(' ')?;
    let (at, owner) = (at.parse().ok()?, Incarnation(owner.parse().ok()?));
    Some(Mark { at, owner, age: Duration::from_millis(now.saturating_sub(at)) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::Sequence;
    use crate::page::PageId;
    use proptest::prelude::*;

    const ID: &[u8] = b"000000000000000000000000000000ab:7";

    fn stored(header: &[u8], pages: &[(&str, u64)]) -> Vec<u8> {
        let pages = pages.iter().map(|(page, visits)| (PageId::from_decoded(page).unwrap(), *visits)).collect();
        let batch = Batch::seal(Sequence::FIRST, pages, Moment::new(Duration::ZERO, Duration::ZERO));
        [header, &batch.encode()].concat()
    }

    #[test]
    fn a_copy_reads_back_with_its_age() {
        let read = copy(ID, &stored(b"1 1000 ", &[("a b", 2), ("c", 1)]), Some("1500 77"), 4_000).unwrap();
        assert_eq!((read.id.sequence.get(), read.batch.visits(), read.batch.pages()), (7, 3, 2));
        assert_eq!(read.age, Duration::from_secs(3));
        assert_eq!(read.delivered, Some(Mark { at: 1_500, owner: Incarnation(77), age: Duration::from_millis(2_500) }));
    }

    #[test]
    fn what_is_no_copy_is_told() {
        let good: &[u8] = &stored(b"1 1000 ", &[("a", 1)]);
        let table: [(&[u8], &[u8], &str); 7] = [
            (b"ab:7", good, "its name"),
            (b"\xff", good, "its name"),
            (ID, b"", "cut off"),
            (ID, b"1 1000", "cut off"),
            (ID, b"2 1000 x", "its format is 2; 1 is accepted"),
            (ID, b"1 yesterday x", "no number"),
            (ID, &good[..good.len() - 1], "not the encoding of a batch"),
        ];
        for (field, value, reason) in table {
            let error = copy(field, value, None, 0).unwrap_err();
            assert!(error.contains(reason), "{error}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(field in prop::collection::vec(any::<u8>(), 0..60), value in ".{0,200}") {
            let _ = copy(&field, value.as_bytes(), None, 0);
            let _ = copy(ID, value.as_bytes(), None, 0);
        }
    }
}
