//! Setting a page's count, exactly once.

use super::{Figures, Unavailable, note};
use crate::batch::WriterId;
use crate::config::{Counted, MAX_HISTORY_DAYS};
use crate::day::Day;
use crate::page::PageId;
use crate::store::StoreError;
use crate::store::statistics::{Set, SetCount, Statistics};
use xxhash_rust::xxh3::Xxh3Default;

/// Largest count that can be set: 15 digits, which every reader of JSON and Redis' scripts keep exactly.
pub const MOST_COUNT: u64 = 999_999_999_999_999;

/// What names a change, so that the same one sent again is told from a second one: 1 to 128 visible ASCII characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdempotencyKey(Box<str>);

/// A text that is no [`IdempotencyKey`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an Idempotency-Key is 1 to 128 visible ASCII characters")]
pub struct InvalidKey;

/// A page's new count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change {
    /// Its count from now on.
    pub count: u64,
    /// Whether its days go, too.
    pub forget_days: bool,
}

/// A change that is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Changed {
    /// The count before, as it was shown: of people only, where that is what counts say.
    pub previous: u64,
    /// The same change had been made before, and nothing is changed now.
    pub repeated: bool,
}

/// Why a change is not made, or not known to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChangeError {
    /// Pages are moving between shards, or the page's shard knows another ring than ours. Nothing is changed.
    #[error("pages are moving between shards")]
    Moving,
    /// The key was another change's of the same page. Nothing is changed.
    #[error("the key was used for another change of this page")]
    KeyTaken,
    /// The page's shard does not answer. Nothing is changed.
    #[error("the page's shard does not answer")]
    Unavailable,
    /// The call was sent and no answer came. The same change with the same key is safe, and tells.
    #[error("no answer came")]
    Unknown,
}

impl std::str::FromStr for IdempotencyKey {
    type Err = InvalidKey;

    fn from_str(text: &str) -> Result<Self, InvalidKey> {
        let visible = text.bytes().all(|byte| byte.is_ascii_graphic());
        if visible && (1..=128).contains(&text.len()) { Ok(Self(text.into())) } else { Err(InvalidKey) }
    }
}

impl IdempotencyKey {
    /// The id of the change of a page under this key. The count is no part of it: so a key that is used again for another one
    /// is noticed. Two pages may have the same key.
    fn id(&self, page: &PageId) -> WriterId {
        let mut hasher = Xxh3Default::new();
        hasher.update(page.as_str().as_bytes());
        // No UTF-8 has this byte.
        hasher.update(&[0xff]);
        hasher.update(self.0.as_bytes());
        WriterId::from_u128(hasher.digest128())
    }
}

impl<S: Statistics> Figures<S> {
    /// Sets a page's count, exactly once for each key. Visits that are still in the memory of `record-visit` come on top.
    pub async fn set(&self, page: &PageId, change: Change, key: &IdempotencyKey) -> Result<Changed, ChangeError> {
        let owner = self.ring.owner(page.as_str());
        let today = Day::of(self.clock.now());
        // Also what was kept under a longer setting.
        let forget = change.forget_days.then(|| (today.minus(MAX_HISTORY_DAYS - 1), today));
        let call = SetCount { page, count: change.count, forget, ring: self.fingerprint, id: key.id(page) };
        let answer = self.store.set_count(owner, call).await;
        self.summaries.forget();
        self.tops.forget();
        match answer {
            Ok(Set::Done { previous, previous_bots, repeated }) => {
                let uncounted = if self.counted == Counted::People { previous_bots } else { 0 };
                Ok(Changed { previous: previous.saturating_sub(uncounted), repeated })
            }
            Ok(Set::Moving) => Err(ChangeError::Moving),
            Ok(Set::KeyTaken) => Err(ChangeError::KeyTaken),
            Err(error) => Err(unclear(error)),
        }
    }
}

/// What a failed call to set a count says about whether it is set.
fn unclear(error: StoreError) -> ChangeError {
    let sent = matches!(error, StoreError::Unknown { .. });
    let Unavailable = note(error);
    if sent { ChangeError::Unknown } else { ChangeError::Unavailable }
}

#[cfg(test)]
mod tests {
    use super::{IdempotencyKey, InvalidKey};
    use crate::page::PageId;

    fn id(page: &str, key: &str) -> String {
        key.parse::<IdempotencyKey>().unwrap().id(&PageId::from_decoded(page).unwrap()).to_string()
    }

    #[test]
    fn a_key_belongs_to_a_page() {
        assert_eq!(id("home", "k"), id("home", "k"));
        assert_ne!(id("home", "k"), id("a", "k"));
        assert_ne!(id("home", "k"), id("h", "omek"));
        // Kept by shards for as long as a change may be sent again: it must not follow the program's version.
        assert_eq!(id("home", "5f0c"), "93c4f39553cd4f2ad50dd8b208ba02e8");
    }

    #[test]
    fn a_key_is_visible_ascii_and_not_too_long() {
        for text in ["k", "\"5f0c\"", &"k".repeat(128)] {
            assert!(text.parse::<IdempotencyKey>().is_ok(), "{text}");
        }
        for text in ["", " ", "a b", "é", "a\n", &"k".repeat(129)] {
            assert_eq!(text.parse::<IdempotencyKey>(), Err(InvalidKey), "{text:?}");
        }
    }
}
