//! What most clients do instead: a consistent-hash ring on which each shard has 160 points (ketama's number), and
//! a key belongs to the first point at or after its hash.

use xxhash_rust::xxh3::xxh3_64;

/// Points of each shard.
pub const POINTS: usize = 160;

/// A ring of points, in their order.
pub struct PointRing {
    points: Vec<(u64, usize)>,
}

impl PointRing {
    /// A ring of the shards with these names.
    pub fn new(names: &[String]) -> Self {
        let of = |(shard, name): (usize, &String)| {
            let point = move |point| (xxh3_64(format!("{name}#{point}").as_bytes()), shard);
            (0..POINTS).map(point).collect::<Vec<_>>()
        };
        let mut points: Vec<(u64, usize)> = names.iter().enumerate().flat_map(of).collect();
        points.sort_unstable();
        Self { points }
    }

    /// The index of the shard that owns `key`.
    pub fn owner(&self, key: &str) -> usize {
        let hash = xxh3_64(key.as_bytes());
        let next = self.points.partition_point(|&(point, _)| point < hash);
        // After the last point comes the first.
        self.points.get(next).unwrap_or(&self.points[0]).1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ring_of_points_places_every_key() {
        let names: Vec<String> = (0..8).map(|shard| format!("shard-{shard}")).collect();
        let ring = PointRing::new(&names);
        let mut owned = [0; 8];
        for key in 0..10_000 {
            owned[ring.owner(&key.to_string())] += 1;
        }
        assert!(owned.iter().all(|&pages| (800..1_700).contains(&pages)), "{owned:?}");
    }

    #[test]
    fn a_key_belongs_to_the_first_point_at_or_after_its_hash() {
        let hash = xxh3_64(b"home");
        let owner = |points: &[(u64, usize)]| PointRing { points: points.to_vec() }.owner("home");
        assert_eq!(owner(&[(hash - 1, 0), (hash, 1), (hash + 1, 2)]), 1);
        assert_eq!(owner(&[(hash - 1, 0), (hash + 1, 2)]), 2);
        assert_eq!(owner(&[(hash - 2, 0), (hash - 1, 1)]), 0, "the ring is closed");
    }
}
