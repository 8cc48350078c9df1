//! The order of an epoch's rows.

use crate::error::Error;
use crate::kernels::memory::zeros;
use crate::rng::Words;

/// About so many rows share the bits that they are parted by.
const TOGETHER: usize = 4;

/// Puts the rows 0, 1, ... in the order of one random word each, ties as they stood.
///
/// The words are spread evenly, so rows whose words begin alike are few: each goes to its like, and
/// those few are sorted.
///
/// # Errors
/// [`Error::OutOfMemory`].
pub(super) fn shuffle(words: Words, order: &mut [u32]) -> Result<(), Error> {
    let bits = (order.len() / TOGETHER).max(1).ilog2();
    // In two steps, as all of a word may go.
    let head = |word: u64| (word >> 1 >> (u64::BITS - 1 - bits)) as usize;
    let mut keys = zeros::<u64>(order.len())?;
    // Where the rows of each head go; at first, one place further, how many they are.
    let mut places = zeros::<u32>((1 << bits) + 1)?;
    for (key, word) in keys.iter_mut().zip(words) {
        *key = word;
        places[head(word) + 1] += 1;
    }
    let mut sum = 0;
    for place in &mut places {
        sum += *place;
        *place = sum;
    }
    for (row, &key) in (0..).zip(&keys) {
        let place = &mut places[head(key)];
        order[*place as usize] = row;
        *place += 1;
    }
    // Now each place is where its rows end.
    let mut first = 0;
    for &end in &places[..1 << bits] {
        order[first..end as usize].sort_unstable_by_key(|&row| (keys[row as usize], row));
        first = end as usize;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{TOGETHER, shuffle};
    use crate::rng::{SHUFFLE, Words};

    #[test]
    fn rows_are_in_the_order_of_their_words() {
        for n in (0..5 * TOGETHER).chain([1023, 1024, 60_000]) {
            for epoch in 0..3 {
                let words = Words::new(7, SHUFFLE, epoch);
                let mut expected: Vec<_> = words.clone().zip(0..).take(n).collect();
                expected.sort_unstable();
                let mut order = vec![9; n];
                shuffle(words, &mut order).unwrap();
                let found = order.iter().copied();
                assert!(found.eq(expected.into_iter().map(|(_, row)| row)), "{n} rows");
            }
        }
    }
}
