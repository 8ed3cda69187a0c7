//! What in a server's settings may cost counts.

use visits_core::store::redis::facts::ShardFacts;

/// A warning for each setting of the server that may cost counts. A server that may evict any key never comes here: it
/// is refused at first contact.
pub(crate) fn warnings(facts: &ShardFacts) -> Vec<String> {
    match facts.eviction_policy() {
        Some(_) => Vec::new(),
        None => vec!["its maxmemory-policy cannot be read: see that it evicts no counts".to_owned()],
    }
}
