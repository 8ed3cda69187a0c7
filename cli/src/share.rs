//! Shares: of pages, and of a ring.

use visits_core::shard::ShardConfig;

/// A part of a whole, from 0 to 1; of nothing, nothing.
#[expect(clippy::cast_precision_loss, reason = "a share is shown to three digits")]
pub(crate) fn of(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

/// The shares of the pages that the ring gives to these shards: their parts of all weight.
pub(crate) fn ideal(shards: &[ShardConfig]) -> Vec<f64> {
    let weights = || shards.iter().map(|shard| u64::from(shard.weight.get()));
    let sum = weights().sum();
    weights().map(|weight| of(weight, sum)).collect()
}

/// A share as people read it.
pub(crate) fn percent(share: f64) -> String {
    format!("{:.1}%", share * 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_of_nothing_is_nothing() {
        assert_eq!([of(0, 0), of(1, 4), of(4, 4)].map(percent), ["0.0%", "25.0%", "100.0%"]);
    }
}
