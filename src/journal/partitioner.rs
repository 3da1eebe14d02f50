//! Which partition a key lies in: the rule that our producers and Java's share (murmur2 of the key's bytes).

const SEED: u32 = 0x9747_b28c;
const MIX: u32 = 0x5bd1_e995;
const SHIFT: u32 = 24;

/// The partition of `key` in a topic of `partitions` (at least one).
pub fn partition_of(key: &[u8], partitions: i32) -> i32 {
    let positive = (murmur2(key) & 0x7fff_ffff).cast_signed();
    positive % partitions.max(1)
}

/// MurmurHash2, 32 bits, with the seed that Kafka's clients agreed on.
fn murmur2(key: &[u8]) -> u32 {
    let mut hash = SEED ^ key.len() as u32;
    let words = key.chunks_exact(4);
    let rest = words.remainder();
    for word in words {
        let mut word = u32::from_le_bytes([word[0], word[1], word[2], word[3]]).wrapping_mul(MIX);
        word ^= word >> SHIFT;
        hash = hash.wrapping_mul(MIX) ^ word.wrapping_mul(MIX);
    }
    if !rest.is_empty() {
        let rest = rest.iter().rev().fold(0_u32, |all, byte| (all << 8) | u32::from(*byte));
        hash = (hash ^ rest).wrapping_mul(MIX);
    }
    hash ^= hash >> 13;
    hash = hash.wrapping_mul(MIX);
    hash ^ (hash >> 15)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Hashes that the Java client's own tests expect.
    #[test]
    fn hashes_are_those_of_the_java_client() {
        let known = [
            ("21", -973_932_308),
            ("foobar", -790_332_482),
            ("a-little-bit-long-string", -985_981_536),
            ("a-little-bit-longer-string", -1_486_304_829),
            ("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58_897_971),
        ];
        for (key, hash) in known {
            assert_eq!(murmur2(key.as_bytes()).cast_signed(), hash, "{key}");
        }
    }

    #[test]
    fn every_key_has_a_place() {
        for n in 0..200 {
            assert!((0..7).contains(&partition_of(format!("tenant-{n}").as_bytes(), 7)));
        }
        assert_eq!(partition_of(b"a", 0), 0);
    }
}
