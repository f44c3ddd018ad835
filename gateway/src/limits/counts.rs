//! How much somebody holds at one time, and no more than they may.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};

/// What each holds. Cloning is cheap.
#[derive(Debug)]
pub struct Counts<K: Eq + Hash>(Arc<Mutex<HashMap<K, usize>>>);

/// One more, given back when dropped.
#[derive(Debug)]
pub struct Held<K: Eq + Hash> {
    counts: Counts<K>,
    holder: K,
}

impl<K: Eq + Hash> Clone for Counts<K> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<K: Eq + Hash> Default for Counts<K> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<K: Clone + Eq + Hash> Counts<K> {
    /// One more for a holder; none if they hold `most`.
    pub fn take(&self, holder: &K, most: usize) -> Option<Held<K>> {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.get(holder).copied().unwrap_or_default();
        if count >= most {
            return None;
        }
        counts.insert(holder.clone(), count + 1);
        let (counts, holder) = (self.clone(), holder.clone());
        Some(Held { counts, holder })
    }
}

impl<K: Eq + Hash> Drop for Held<K> {
    fn drop(&mut self) {
        let mut counts = self.counts.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(&self.holder) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.holder);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_holds_more_than_they_may_and_each_by_themselves() {
        let counts = Counts::default();
        let held = [counts.take(&"alice", 2), counts.take(&"alice", 2)];
        assert!(held.iter().all(Option::is_some));
        assert!(counts.take(&"alice", 2).is_none());
        assert!(counts.take(&"bob", 2).is_some());
    }

    #[test]
    fn what_is_given_back_may_be_held_again_and_leaves_nothing_behind() {
        let counts = Counts::default();
        drop(counts.take(&"alice", 1));
        assert!(counts.take(&"alice", 1).is_some());
        assert!(counts.0.lock().unwrap().is_empty());
    }
}
