//! What in a server's state and settings may cost counts.

use visits_core::store::redis::facts::ShardFacts;

/// A warning for all that may cost counts. A server that may evict any key comes here only where
/// `VISITS_ALLOW_EVICTION` is on: it is refused at first contact otherwise.
pub(crate) fn warnings(facts: &ShardFacts) -> Vec<String> {
    let health = facts.health();
    let mut warnings: Vec<String> = health.warnings().iter().map(ToString::to_string).collect();
    if health.eviction_policy.is_none() {
        warnings.push("its maxmemory-policy cannot be read: see that it evicts no counts".to_owned());
    }
    warnings
}
