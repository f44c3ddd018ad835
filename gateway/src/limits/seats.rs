//! A number of seats that groups share fairly, without knowing the groups in advance.
//!
//! A group may take a seat while it holds fewer than [`SHARE`] times the free ones
//! (dynamic thresholds: Choudhury and Hahne, "Dynamic queue length thresholds for
//! shared-memory packet switches", 1998). One busy group so gets four fifths of the
//! seats, two get four ninths each, and whoever comes next finds some free:
//! nobody's flood takes everything, and nothing is kept for those who do not ask, but
//! for one seat in [`RESERVE`].

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A group holds at most so many seats for each that is free.
const SHARE: usize = 4;
/// One of so many seats is left free by those who may not use the reserve.
const RESERVE: usize = 16;

/// Seats that groups share. Cloning is cheap.
#[derive(Debug)]
pub(super) struct Seats<K: Eq + Hash>(Arc<Mutex<State<K>>>);

#[derive(Debug)]
struct State<K> {
    /// How many there are.
    limit: usize,
    /// How many are taken; more than there are after the limit was lowered.
    taken: usize,
    held: HashMap<K, usize>,
}

/// A seat, given back when dropped.
#[derive(Debug)]
pub struct Seat<K: Eq + Hash> {
    seats: Seats<K>,
    group: K,
}

impl<K: Eq + Hash> Clone for Seats<K> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<K: Copy + Eq + Hash> Seats<K> {
    pub(super) fn new(limit: usize) -> Self {
        Self(Arc::new(Mutex::new(State {
            limit,
            taken: 0,
            held: HashMap::new(),
        })))
    }

    /// From now on there are so many.
    pub(super) fn resize(&self, limit: usize) {
        self.lock().limit = limit;
    }

    /// How many are taken.
    pub(super) fn taken(&self) -> usize {
        self.lock().taken
    }

    /// A seat for a group; none if it has its share, or if only the reserve is left
    /// and it may not use that.
    pub(super) fn take(&self, group: K, with_reserve: bool) -> Option<Seat<K>> {
        let mut state = self.lock();
        let kept = if with_reserve {
            0
        } else {
            state.limit / RESERVE
        };
        let free = state.limit.saturating_sub(state.taken + kept);
        let held = state.held.get(&group).copied().unwrap_or_default();
        if held >= free.saturating_mul(SHARE) {
            return None;
        }
        state.taken += 1;
        state.held.insert(group, held + 1);
        let seats = self.clone();
        Some(Seat { seats, group })
    }
}

impl<K: Eq + Hash> Seats<K> {
    /// A panic elsewhere leaves the numbers whole: they change together at once.
    fn lock(&self) -> MutexGuard<'_, State<K>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Eq + Hash> Drop for Seat<K> {
    fn drop(&mut self) {
        let mut state = self.seats.lock();
        state.taken = state.taken.saturating_sub(1);
        if let Some(held) = state.held.get_mut(&self.group) {
            *held -= 1;
            if *held == 0 {
                state.held.remove(&self.group);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// As many seats as a group gets.
    fn fill(seats: &Seats<u32>, group: u32) -> Vec<Seat<u32>> {
        std::iter::from_fn(|| seats.take(group, true)).collect()
    }

    #[test]
    fn one_group_alone_gets_four_fifths() {
        assert_eq!(fill(&Seats::new(100), 1).len(), 80);
    }

    #[test]
    fn who_comes_after_a_flood_finds_seats() {
        let seats = Seats::new(100);
        let flood = fill(&seats, 1);
        let second = fill(&seats, 2);
        assert_eq!((flood.len(), second.len()), (80, 16));
        assert!(seats.take(3, true).is_some(), "nothing is left for a third");
    }

    #[test]
    fn the_reserve_is_left_to_those_who_may_use_it() {
        let seats = Seats::new(160);
        let crowd = (0..1000).filter_map(|group| seats.take(group, false));
        let crowd: Vec<_> = crowd.collect();
        assert_eq!(crowd.len(), 150);
        assert!(seats.take(1000, true).is_some());
    }

    #[test]
    fn two_floods_come_to_share_alike() {
        let seats = Seats::new(900);
        let mut held = [fill(&seats, 1), fill(&seats, 2)];
        for _ in 0..2000 {
            for (seats_of, group) in held.iter_mut().zip([1, 2]) {
                seats_of.pop();
                seats_of.extend(fill(&seats, group));
            }
        }
        let [one, other] = held.map(|held| held.len());
        assert!(one.abs_diff(other) <= 8, "{one} and {other}");
    }

    #[test]
    fn a_seat_that_is_given_back_is_free() {
        let seats = Seats::new(1);
        let seat = seats.take(1, true);
        assert!(seat.is_some() && seats.take(2, true).is_none());
        drop(seat);
        assert!(seats.take(2, true).is_some());
    }

    #[test]
    fn a_lowered_limit_ends_nothing_and_lets_nobody_in_until_there_is_room() {
        let seats = Seats::new(10);
        let mut held = fill(&seats, 1);
        seats.resize(2);
        assert!(seats.take(2, true).is_none());
        held.truncate(1);
        assert!(seats.take(2, true).is_some());
    }

    proptest! {
        #[test]
        fn never_more_are_taken_than_there_are_and_all_come_back(
            limit in 0usize..50,
            steps in prop::collection::vec((0u32..5, any::<bool>(), any::<bool>()), 0..300),
        ) {
            let seats = Seats::new(limit);
            let mut held = Vec::new();
            for (group, with_reserve, gives_back) in steps {
                if gives_back {
                    held.pop();
                } else {
                    held.extend(seats.take(group, with_reserve));
                }
                prop_assert!(seats.taken() <= limit);
                prop_assert_eq!(seats.taken(), held.len());
            }
            held.clear();
            prop_assert_eq!(seats.taken(), 0);
            prop_assert!(seats.lock().held.is_empty());
        }
    }
}
