use super::*;
use proptest::prelude::*;
use std::time::Duration;

const NOW: Moment = Moment::new(Duration::ZERO, Duration::ZERO);

fn page(id: &str) -> PageId {
    PageId::from_decoded(id).unwrap()
}

/// The encoding of runs of one page each, without visitors.
fn encoded(day: u32, pages: &[(&str, u64, u64)], refused: (u64, u64, u64)) -> Vec<u8> {
    let runs = pages.iter().map(|&(id, visits, bots)| (visits, bots, 0, vec![(0, id)])).collect();
    postcard::to_extend(&Layout { day: Some(day), refused, runs }, vec![VERSION]).unwrap()
}

#[test]
fn a_writer_and_a_batch_id_read_back_as_they_are_shown_and_nothing_else_is_one() {
    assert_ne!(WriterId::random().unwrap(), WriterId::random().unwrap());
    let writer = WriterId::from_u128(0xab);
    assert_eq!(writer.to_string(), "000000000000000000000000000000ab");
    assert_eq!(writer.to_string().parse(), Ok(writer));
    let id = BatchId { writer, sequence: Sequence::new(12).unwrap() };
    assert_eq!(id.to_string().parse(), Ok(id));
    for text in ["", "ab", "+00000000000000000000000000000ab", "000000000000000000000000000000AB"] {
        assert_eq!(text.parse::<WriterId>(), Err(InvalidWriterId), "{text}");
        assert_eq!(format!("{text}:1").parse::<BatchId>(), Err(InvalidBatchId), "{text}");
    }
    for end in ["", ":", ":0", ":01", ":+1", ":-1", ":1 ", ":99999999999999999999"] {
        assert_eq!(format!("{writer}{end}").parse::<BatchId>(), Err(InvalidBatchId), "{end}");
    }
}

#[test]
fn a_pages_bytes_are_its_text_and_a_few_more() {
    let batch = Batch::seal(Sequence::FIRST, vec![(page("home"), 3), (page("hör"), 3), (page("hög"), 3)], NOW);
    let pages = b"\x03\x00\x00\x03\x00\x04home\x01\x03\xc3\xb6r\x03\x01g";
    assert_eq!(batch.encode(), [b"\x02\x00\x00\x00\x00\x01".as_slice(), pages].concat());
}

#[test]
fn bytes_that_are_no_batch_are_refused_with_the_reason() {
    let names: Vec<String> = (0..=MAX_BATCH_PAGES).map(|n| n.to_string()).collect();
    let many: Vec<_> = names.iter().map(|name| (name.as_str(), 1, 0)).collect();
    let of = |pages: &[_]| encoded(20_000, pages, (0, 0, 0));
    let run = |visitors, names: &[Name<'static>]| {
        let runs = vec![(1, 0, visitors, names.to_vec())];
        postcard::to_extend(&Layout { day: None, refused: (0, 0, 0), runs }, vec![VERSION]).unwrap()
    };
    let good = of(&[("home", 3, 1)]);
    assert!(Content::decode(&good).is_ok());
    let table = [
        (vec![], "of version 2"),
        ([&[1], &good[1..]].concat(), "of version 2"),
        (good[..good.len() - 1].to_vec(), "not the encoding"),
        ([&good[..], &[0]].concat(), "not the encoding"),
        (b"[[\"home\",1]]".to_vec(), "of version 2"),
        (run(1, &[(0, "a")]), "not the encoding"),
        ([run(1, &[(0, "a")]), vec![0; 7]].concat(), "not the encoding"),
        (run(usize::MAX, &[(0, "a")]), "not the encoding"),
        (run(0, &[(0, "a"), (2, "b")]), "not the encoding"),
        (run(0, &[(0, "é"), (1, "b")]), "not the encoding"),
        (run(0, &[(0, "a"), (1, "")]), "twice"),
        (of(&[]), "it has 0 pages"),
        (of(&many), "it has 501 pages"),
        (of(&[("", 1, 0)]), "the page id is empty"),
        (of(&[("a\nb", 1, 0)]), "control character"),
        (of(&[("a", 1, 0), ("a", 1, 0)]), "twice"),
        (of(&[("a", 0, 0)]), "a count or their sum"),
        (of(&[("a", 1, 2)]), "a count or their sum"),
        (of(&[("a", MAX_VISITS, 0), ("b", 1, 0)]), "a count or their sum"),
        (of(&[("a", u64::MAX, 0), ("b", u64::MAX, 0)]), "a count or their sum"),
        (encoded(20_000, &[], (MAX_VISITS + 1, 0, 0)), "a count or their sum"),
        (encoded(u32::MAX, &[("a", 1, 0)], (0, 0, 0)), "its day"),
    ];
    for (bytes, reason) in table {
        let error = Content::decode(&bytes).unwrap_err().to_string();
        assert!(error.contains(reason), "{bytes:?}: {error}");
    }
}

proptest! {
    #[test]
    fn any_batch_reads_back(
        ids in prop::collection::hash_set("[^\\p{Cc}]{1,20}|[aé/]{1,5}", 0..40),
        (visits, bots) in (1..1_000_u64).prop_flat_map(|visits| (Just(visits), 0..=visits)),
        visitors in prop::collection::vec(any::<u64>().prop_map(Visitor), 0..5),
        day in prop::option::of((0..100_000_u32).prop_map(|days| Day::from_epoch_millis(0).plus(days))),
        repeat in 1..1_000_u64,
    ) {
        let increment = |id: &String| Increment { page: page(id), visits, bots, visitors: visitors.clone() };
        let refused = Refused { repeat, ..Refused::default() };
        let content = Content { day, increments: ids.iter().map(increment).collect(), refused };
        prop_assert_eq!(&Content::decode(&Batch::of(Sequence::FIRST, content.clone(), NOW).encode()).unwrap(), &content);
    }

    #[test]
    fn any_bytes_are_read_or_refused(mut bytes in prop::collection::vec(any::<u8>(), 1..200), versioned in any::<bool>()) {
        if versioned {
            bytes[0] = VERSION;
        }
        let _ = Content::decode(&bytes);
    }
}
