//! The order of an epoch's rows.

use std::sync::{Mutex, PoisonError};

use crate::error::Error;
use crate::kernels::gemm::unlocked;
use crate::kernels::memory::zeros;
use crate::rng::{SHUFFLE, Words};

/// Bits of a word by which a pass parts the rows.
const DIGIT: u32 = 9;

/// Into so many lists: more would end in more cache lines than a first cache holds.
const LISTS: usize = 1 << DIGIT;

/// So few are sorted by insertion alone, in less time than a pass takes.
const FEW: usize = 32;

/// The rows of an epoch, in the order of one random word each, ties as they stood; and those of the next,
/// where some worker had time to sort them.
#[derive(Debug)]
pub(super) struct Order {
    seed: u64,
    epoch: Option<u64>,
    /// Whether epochs are taken one after another: then the next is worth preparing.
    in_turn: bool,
    rows: Vec<u32>,
    next: Mutex<Sorter>,
}

/// Where rows are sorted: 20 bytes a row, kept so that no epoch allocates, as to have new pages each time would
/// take longer than a pass.
#[derive(Clone, Debug)]
struct Sorter {
    /// Whose rows these are.
    epoch: Option<u64>,
    rows: Vec<u32>,
    keys: Vec<u64>,
    sorted: Vec<u64>,
}

impl Order {
    /// Room for so many rows.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`].
    pub(super) fn new(seed: u64, rows: usize) -> Result<Self, Error> {
        let next = Mutex::new(Sorter::new(rows)?);
        Ok(Self { seed, epoch: None, in_turn: false, rows: zeros(rows)?, next })
    }

    /// Takes the rows of an epoch, once.
    pub(super) fn prepare(&mut self, epoch: u64) {
        if self.epoch == Some(epoch) {
            return;
        }
        let next = self.next.get_mut().unwrap_or_else(PoisonError::into_inner);
        next.prepare(self.seed, epoch);
        std::mem::swap(&mut self.rows, &mut next.rows);
        next.epoch = None;
        self.in_turn = self.epoch.is_some_and(|before| before.wrapping_add(1) == epoch);
        self.epoch = Some(epoch);
    }

    /// Sorts the rows of the epoch after that, if it is likely to come and nobody is at it.
    pub(super) fn prepare_next(&self) {
        if self.in_turn
            && let Some(epoch) = self.epoch
            && let Some(mut next) = unlocked(&self.next)
        {
            next.prepare(self.seed, epoch.wrapping_add(1));
        }
    }

    /// Whether those are sorted.
    #[cfg(test)]
    pub(super) fn has_next(&self) -> bool {
        unlocked(&self.next).is_some_and(|next| next.epoch.is_some())
    }

    /// The rows of the epoch that was last prepared.
    ///
    /// # Panics
    /// Where none was.
    pub(super) fn rows(&self) -> &[u32] {
        assert!(self.epoch.is_some(), "an epoch is prepared");
        &self.rows
    }
}

impl Clone for Order {
    fn clone(&self) -> Self {
        let next = self.next.lock().unwrap_or_else(PoisonError::into_inner).clone();
        Self { rows: self.rows.clone(), next: Mutex::new(next), ..*self }
    }
}

impl Sorter {
    fn new(rows: usize) -> Result<Self, Error> {
        let room = rows.next_multiple_of(4);
        let (keys, sorted) = (zeros(room)?, zeros(room)?);
        Ok(Self { epoch: None, rows: zeros(rows)?, keys, sorted })
    }

    /// Sorts the rows of an epoch, unless it has.
    fn prepare(&mut self, seed: u64, epoch: u64) {
        if self.epoch != Some(epoch) {
            self.epoch = None; // half sorted, should a panic end it
            self.shuffle(&Words::new(seed, SHUFFLE, epoch), bits(self.rows.len()));
            self.epoch = Some(epoch);
        }
    }

    /// Sorts by the words' upper bits, the row standing in the `row_bits` below; what these bits leave
    /// equal, hardly ever more than a pair, is then sorted by the whole words.
    fn shuffle(&mut self, words: &Words, row_bits: u32) {
        let Self { rows, keys, sorted, .. } = self;
        let row_mask = (1 << row_bits) - 1;
        for (first, keys) in (0..).step_by(4).zip(keys.chunks_exact_mut(4)) {
            for ((key, word), row) in keys.iter_mut().zip(words.four(first)).zip(first..) {
                *key = word & !row_mask | row;
            }
        }
        let (mut keys, mut sorted) = (&mut keys[..rows.len()], &mut sorted[..rows.len()]);
        for digit in (0..digits(keys.len())).rev() {
            by_digit(keys, sorted, digit);
            std::mem::swap(&mut keys, &mut sorted);
        }
        by_insertion(keys);
        let is_tie = |a: &u64, b: &u64| a >> row_bits == b >> row_bits;
        if keys.windows(2).any(|pair| is_tie(&pair[0], &pair[1])) {
            for ties in keys.chunk_by_mut(is_tie) {
                ties.sort_unstable_by_key(|key| (words.at(key & row_mask), key & row_mask));
            }
        }
        for (row, key) in rows.iter_mut().zip(keys) {
            *row = u32::try_from(*key & row_mask).expect("a row");
        }
    }
}

/// How many bits the number of rows has.
fn bits(rows: usize) -> u32 {
    usize::BITS - rows.leading_zeros()
}

/// After so many digits the keys are nearly in order: the digits have at least twice as many values as there
/// are rows.
fn digits(rows: usize) -> u32 {
    if rows <= FEW { 0 } else { (bits(rows) + 1).div_ceil(DIGIT) }
}

/// Sorts by one digit, the upmost being 0; what is equal there stays as it stands.
fn by_digit(keys: &[u64], sorted: &mut [u64], digit: u32) {
    #[expect(clippy::cast_possible_truncation, reason = "a digit's bits are left")]
    let list = |key: u64| (key >> (u64::BITS - DIGIT * (digit + 1))) as usize % LISTS;
    let mut ends = [0_u32; LISTS];
    for &key in keys {
        ends[list(key)] += 1;
    }
    let mut start = 0;
    for end in &mut ends {
        (*end, start) = (start, start + *end);
    }
    for &key in keys {
        let end = &mut ends[list(key)];
        sorted[*end as usize] = key;
        *end += 1;
    }
}

/// Sorts what is nearly in order.
fn by_insertion(keys: &mut [u64]) {
    for i in 1..keys.len() {
        let key = keys[i];
        let mut place = i;
        while place > 0 && keys[place - 1] > key {
            keys[place] = keys[place - 1];
            place -= 1;
        }
        keys[place] = key;
    }
}

#[cfg(test)]
mod tests {
    use super::{DIGIT, FEW, Order, Sorter};
    use crate::rng::{SHUFFLE, Words};

    /// As rule 13 of `docs/exactness.md` has it.
    fn expected(words: &Words, n: usize) -> Vec<u32> {
        let mut rows: Vec<_> = words.clone().zip(0..).take(n).collect();
        rows.sort_unstable();
        rows.into_iter().map(|(_, row)| row).collect()
    }

    #[test]
    fn rows_are_in_the_order_of_their_words() {
        // Where there is another digit, and around it.
        let ends = [FEW, 1 << (DIGIT - 1), 1 << (2 * DIGIT - 1)];
        let near = ends.iter().flat_map(|n| n - 3..n + 3);
        for n in (0..5).chain(near).chain([60_000]) {
            let mut order = Order::new(7, n).unwrap();
            for epoch in [0, 1, 0] {
                order.prepare(epoch);
                let words = Words::new(7, SHUFFLE, epoch);
                assert!(order.rows() == expected(&words, n), "{n} rows");
            }
        }
    }

    #[test]
    fn the_next_epoch_is_prepared_where_epochs_are_taken_in_turn() {
        let mut order = Order::new(7, 100).unwrap();
        let next = |order: &mut Order| order.next.get_mut().unwrap().epoch;
        order.prepare_next();
        order.prepare(3);
        order.prepare_next();
        assert_eq!(next(&mut order), None, "one epoch alone");
        order.prepare(4);
        for epoch in 4..7 {
            order.prepare(epoch);
            order.prepare_next();
            assert_eq!(next(&mut order), Some(epoch + 1));
            assert!(order.rows() == expected(&Words::new(7, SHUFFLE, epoch), 100));
            assert!(order.has_next());
            let mut other = order.clone();
            other.prepare(2);
            other.prepare_next();
            assert_eq!(next(&mut other), None, "out of turn");
            assert!(other.rows() == expected(&Words::new(7, SHUFFLE, 2), 100));
        }
    }

    #[test]
    fn what_is_prepared_is_not_sorted_again() {
        let mut order = Order::new(7, 100).unwrap();
        order.prepare(0);
        order.prepare(1);
        order.prepare_next();
        let next = &mut order.next.get_mut().unwrap().rows;
        next.reverse();
        let reversed = next.clone();
        order.prepare_next();
        order.prepare(2);
        assert_eq!(order.rows(), reversed);
        order.prepare(3);
        assert!(order.rows() == expected(&Words::new(7, SHUFFLE, 3), 100));
    }

    /// Of 60,000 rows no two words begin with the same 48 bits; with the same 10 they do.
    #[test]
    fn rows_whose_words_begin_alike_are_parted_by_the_rest() {
        let words = Words::new(7, SHUFFLE, 0);
        for n in [FEW, 1000, 60_000] {
            for row_bits in [40, 54, 63] {
                let mut sorter = Sorter::new(n).unwrap();
                sorter.shuffle(&words, row_bits);
                assert!(sorter.rows == expected(&words, n), "{n} rows, {row_bits} bits");
            }
        }
    }
}
