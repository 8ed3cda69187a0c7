//! The promises of rendezvous hashing, measured: fair shares, and no key moves without need.

use super::*;

const KEYS: usize = 1_000_000;

fn shard(name: &str, weight: u8) -> (ShardName, Weight) {
    (name.parse().unwrap(), Weight::new(weight).unwrap())
}

fn numbered(shards: usize) -> Ring {
    Ring::new((0..shards).map(|n| shard(&format!("s{n}"), 1))).unwrap()
}

fn weighted(weights: &[u8]) -> Ring {
    Ring::new(weights.iter().enumerate().map(|(n, &weight)| shard(&format!("s{n}"), weight))).unwrap()
}

/// The owner of each of `keys` numbered pages.
fn owners(ring: &Ring, keys: usize) -> Vec<usize> {
    (0..keys).map(|n| ring.owner(&format!("page-{n}"))).collect()
}

fn shares(ring: &Ring, keys: usize) -> Vec<usize> {
    let mut shares = vec![0; ring.len()];
    for owner in owners(ring, keys) {
        shares[owner] += 1;
    }
    shares
}

#[expect(clippy::cast_precision_loss, reason = "counts of a few million are exact in an f64")]
fn ratio(part: usize, whole: usize) -> f64 {
    part as f64 / whole as f64
}

#[test]
fn no_shard_of_8_has_over_1_percent_more_than_its_share() {
    let peak = shares(&numbered(8), KEYS).into_iter().max().unwrap();
    assert!(ratio(peak * 8, KEYS) <= 1.01, "{peak}");
}

#[test]
fn shares_are_proportional_to_weights() {
    let weights = [16, 8, 4, 1, 0, 3];
    let shares = shares(&weighted(&weights), KEYS);
    for (share, weight) in shares.into_iter().zip(weights.map(usize::from)) {
        let ideal = KEYS * weight / 32;
        assert!(share.abs_diff(ideal) * 50 <= ideal, "weight {weight}: {share}, not {ideal}");
    }
}

#[test]
fn a_new_shard_takes_its_share_and_nothing_else_moves() {
    for shards in [1, 2, 3, 7, 8] {
        let keys = KEYS / 2;
        let (before, after) = (owners(&numbered(shards), keys), owners(&numbered(shards + 1), keys));
        let moved: Vec<usize> =
            before.iter().zip(&after).filter(|(old, new)| old != new).map(|(_, new)| *new).collect();
        assert!(moved.iter().all(|&new| new == shards), "{shards}");
        let of_ideal = ratio(moved.len() * (shards + 1), keys);
        assert!((0.98..=1.02).contains(&of_ideal), "{shards}: {of_ideal}");
    }
}

#[test]
fn a_greater_weight_only_draws_keys_to_its_shard() {
    let (light, heavy) = (weighted(&[1, 1, 1]), weighted(&[1, 3, 1]));
    for (before, after) in owners(&light, 20_000).into_iter().zip(owners(&heavy, 20_000)) {
        assert!(before == after || after == 1);
    }
}

#[test]
fn a_draining_shard_owns_nothing_and_is_still_there() {
    let ring = weighted(&[1, 0, 1]);
    assert_eq!(shares(&ring, 10_000)[1], 0);
    assert_eq!((ring.len(), ring.name(1).as_str()), (3, "s1"));
    assert!(!ring.preference("home").contains(&1));
}

#[test]
fn the_order_of_the_shards_does_not_matter() {
    let shards = [shard("a", 1), shard("b", 2), shard("c", 1), shard("d", 16)];
    let ring = Ring::new(shards.clone()).unwrap();
    let mut turned = shards;
    for _ in 0..4 {
        turned.rotate_left(1);
        turned.swap(0, 1);
        let other = Ring::new(turned.clone()).unwrap();
        for n in 0..2_000 {
            let key = format!("page-{n}");
            assert_eq!(ring.name(ring.owner(&key)), other.name(other.owner(&key)), "{key}");
        }
    }
}

#[test]
fn the_preference_lists_who_would_own_the_key_next() {
    let shards = [shard("a", 1), shard("b", 2), shard("c", 0), shard("d", 16)];
    let ring = Ring::new(shards.clone()).unwrap();
    for n in 0..2_000 {
        let key = format!("page-{n}");
        let preference = ring.preference(&key);
        assert_eq!((preference.len(), preference[0]), (3, ring.owner(&key)), "{key}");
        let rest = Ring::new(shards.iter().filter(|(name, _)| name != ring.name(preference[0])).cloned()).unwrap();
        assert_eq!(rest.name(rest.owner(&key)), ring.name(preference[1]), "{key}");
    }
}

#[test]
fn shards_that_leave_a_page_without_one_owner_are_refused() {
    assert_eq!(Ring::new([]).unwrap_err(), RingError::NoShard);
    assert_eq!(Ring::new([shard("a", 0), shard("b", 0)]).unwrap_err(), RingError::NoWeight);
    let twice = Ring::new([shard("a", 1), shard("b", 1), shard("a", 0)]).unwrap_err();
    assert_eq!(twice, RingError::DuplicateName("a".parse().unwrap()));
}

#[test]
fn of_equal_scores_the_lesser_name_wins() {
    let mut ring = Ring::new([shard("b", 1), shard("a", 1)]).unwrap();
    ring.slots.iter_mut().for_each(|slot| slot.seed = 7);
    assert_eq!(ring.owner("home"), 1);
    assert_eq!(ring.preference("home"), [1, 0]);
}

fn ring(shards: &[(&str, u8)]) -> Ring {
    Ring::new(shards.iter().map(|&(name, weight)| shard(name, weight))).unwrap()
}

#[test]
fn rings_have_one_fingerprint_if_and_only_if_they_place_alike() {
    let plain = ring(&[("a", 1), ("b", 2)]).fingerprint();
    for alike in [&[("b", 2), ("a", 1)][..], &[("a", 1), ("draining", 0), ("b", 2)]] {
        assert_eq!(plain, ring(alike).fingerprint(), "{alike:?}");
    }
    for other in [&[("a", 1), ("b", 1)][..], &[("a", 2), ("b", 1)], &[("a", 1)], &[("a", 1), ("c", 2)]] {
        assert_ne!(plain, ring(other).fingerprint(), "{other:?}");
    }
}

#[test]
fn a_fingerprint_reads_back_and_never_changes() {
    let fingerprint = ring(&[("redis_7070", 1), ("redis_7071", 1)]).fingerprint();
    assert_eq!(fingerprint.to_string().parse(), Ok(fingerprint));
    // Stored in the shards: a program that computes another would re-home for nothing.
    assert_eq!(fingerprint.to_string(), "b7672db3b2e87aeb");
    for text in ["", "0", "000000000000000G", "00000000000000AB", "+000000000000000"] {
        assert_eq!(text.parse::<Fingerprint>(), Err(InvalidFingerprint), "{text}");
    }
}

/// The placement is pinned in a file with a line for each key: a page that changed its owner would leave its count behind. Lines
/// may be added; a changed one means that existing deployments would lose sight of their counts.
#[test]
fn the_golden_placement_never_changes() {
    let (mut ring, mut keys) = (None, 0);
    for (number, line) in (1..).zip(include_str!("../../tests/ring_golden.txt").lines()) {
        if let Some(shards) = line.strip_prefix("ring ") {
            let parts = shards.split(' ').map(|entry| entry.split_once('*').unwrap());
            ring = Some(Ring::new(parts.map(|(name, weight)| shard(name, weight.parse().unwrap()))).unwrap());
        } else if let Some((owner, key)) = line.split_once('\t') {
            let ring = ring.as_ref().unwrap();
            assert_eq!(ring.name(ring.owner(key)).as_str(), owner, "line {number}: {key}");
            keys += 1;
        }
    }
    // Four rings, with keys of every length class of XXH3 (1-3, 4-8, 9-16, 17-128, 129-240 and more bytes), and Unicode.
    assert_eq!(keys, 4 * 90);
}
