//! The name under which Redis knows a script: the SHA-1 of its text, taken when this is compiled. To take it at run time is a
//! fifth of the instructions of a short start of `record-visit`.

/// SHA-1 (FIPS 180-4) in lower-case hex, as ASCII.
pub(super) const fn sha1_hex(text: &[u8]) -> [u8; 40] {
    let mut state = [0x6745_2301, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476, 0xc3d2_e1f0];
    // With the bit that ends the text and its length behind it.
    let blocks = (text.len() + 9).div_ceil(64);
    let mut block = 0;
    while block < blocks {
        state = compress(state, &words(text, block * 64, block + 1 == blocks));
        block += 1;
    }
    hex(state)
}

/// The words of the block that begins at `from`.
const fn words(text: &[u8], from: usize, is_last: bool) -> [u32; 80] {
    let mut words = [0_u32; 80];
    let mut at = 0;
    while at < 64 {
        let place = from + at;
        let byte = if place < text.len() {
            text[place]
        } else if place == text.len() {
            0x80
        } else {
            0
        };
        words[at / 4] = (words[at / 4] << 8) | byte as u32;
        at += 1;
    }
    if is_last {
        let bits = text.len() as u64 * 8;
        words[14] = (bits >> 32) as u32;
        words[15] = (bits & 0xffff_ffff) as u32;
    }
    let mut next = 16;
    while next < 80 {
        words[next] = (words[next - 3] ^ words[next - 8] ^ words[next - 14] ^ words[next - 16]).rotate_left(1);
        next += 1;
    }
    words
}

#[expect(clippy::many_single_char_names, reason = "as the standard calls them")]
const fn compress(state: [u32; 5], words: &[u32; 80]) -> [u32; 5] {
    let [mut a, mut b, mut c, mut d, mut e] = state;
    let mut round = 0;
    while round < 80 {
        let (mixed, constant) = match round {
            0..20 => ((b & c) | (!b & d), 0x5a82_7999),
            20..40 => (b ^ c ^ d, 0x6ed9_eba1),
            40..60 => ((b & c) | (b & d) | (c & d), 0x8f1b_bcdc),
            _ => (b ^ c ^ d, 0xca62_c1d6_u32),
        };
        let sum = a.rotate_left(5).wrapping_add(mixed).wrapping_add(e).wrapping_add(constant);
        (e, d, c, b, a) = (d, c, b.rotate_left(30), a, sum.wrapping_add(words[round]));
        round += 1;
    }
    [
        state[0].wrapping_add(a),
        state[1].wrapping_add(b),
        state[2].wrapping_add(c),
        state[3].wrapping_add(d),
        state[4].wrapping_add(e),
    ]
}

const fn hex(state: [u32; 5]) -> [u8; 40] {
    let mut text = [0; 40];
    let mut at = 0;
    while at < 40 {
        let digit = (state[at / 8] >> (28 - 4 * (at % 8))) & 0xf;
        text[at] = b"0123456789abcdef"[digit as usize];
        at += 1;
    }
    text
}

#[cfg(test)]
mod tests {
    use super::sha1_hex;
    use redis::Script;

    #[test]
    fn a_digest_is_the_one_that_redis_takes() {
        for length in (0..200).chain([17_000]) {
            let text: String = ('!'..='~').cycle().take(length).collect();
            assert_eq!(str::from_utf8(&sha1_hex(text.as_bytes())).unwrap(), Script::new(&text).get_hash(), "{length}");
        }
    }
}
