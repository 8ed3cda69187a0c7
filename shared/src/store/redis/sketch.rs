//! A sketch of visitors, made here instead of visitor by visitor in Redis, which runs one command at a time.

use crate::visit::Visitor;

/// Returns the sketch of these visitors: a dense `HyperLogLog`, as Redis stores it, that says what as many `PFADD` would have
/// made it say.
pub(crate) fn sketch(visitors: &[Visitor]) -> Vec<u8> {
    let mut registers = vec![0_u32; 1 << 14];
    for visitor in visitors {
        let hash = hash((*visitor).into());
        let rank = (hash >> 14 | 1 << 50).trailing_zeros() + 1;
        let register = &mut registers[usize::try_from(hash % (1 << 14)).unwrap_or_default()];
        *register = rank.max(*register);
    }
    // It is dense (0), and the cardinality that is cached behind that is none (the highest bit of its eight bytes).
    let mut bytes = b"HYLL\0\0\0\0\0\0\0\0\0\0\0\x80".to_vec();
    // Six bits each, the lowest first: four registers have three bytes.
    for four in registers.as_chunks::<4>().0 {
        let bits = four.iter().rev().fold(0, |bits, register| bits << 6 | register);
        bytes.extend_from_slice(&bits.to_le_bytes()[..3]);
    }
    bytes
}

/// Hashes eight bytes as Redis does: `MurmurHash64A` (Appleby) with its seed. Sketches outlive servers, so it is part of their format.
fn hash(bytes: [u8; 8]) -> u64 {
    const FACTOR: u64 = 0xc6a4_a793_5bd1_e995;
    let mix = |bits: u64| bits ^ bits >> 47;
    let word = mix(u64::from_le_bytes(bytes).wrapping_mul(FACTOR)).wrapping_mul(FACTOR);
    let hash = (0xadc8_3b19 ^ FACTOR.wrapping_mul(8) ^ word).wrapping_mul(FACTOR);
    mix(mix(hash).wrapping_mul(FACTOR))
}

#[cfg(test)]
mod tests {
    use super::*;
    use redis::Commands;
    use test_support::RedisServer;

    #[test]
    fn a_sketch_says_what_redis_would_say() {
        let server = RedisServer::start();
        let mut redis = server.connect();
        for visitors in [0, 1, 2, 100, 20_000] {
            let visitors: Vec<Visitor> =
                (0..visitors).map(|n: u64| Visitor(n.wrapping_mul(0x9e37_79b9_7f4a_7c15))).collect();
            let added: Vec<Vec<u8>> = visitors.iter().map(|visitor| <[u8; 8]>::from(*visitor).to_vec()).collect();
            let () = redis.set("made", sketch(&visitors)).unwrap();
            let () = redis.del("added").unwrap();
            let () = redis.pfadd("added", &added).unwrap();
            assert_eq!(redis.pfcount::<_, u64>("made"), redis.pfcount("added"));
            // None of them is new to it, byte by byte.
            assert_eq!(redis.pfadd("made", &added), Ok(false));
            let () = redis.pfmerge("added", "made").unwrap();
            let () = redis.pfcount("added").unwrap();
            assert_eq!(redis.get::<_, Vec<u8>>("added").unwrap()[16..], sketch(&visitors)[16..]);
        }
    }
}
