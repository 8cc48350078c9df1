//! Many rows side by side: what goes along a row in a fixed order, for as many rows at a time as
//! fill registers. Each row's sums are those of `reduce.rs`, bit for bit.
//!
//! Rows are turned into columns of 16 for that. Rows left over, and wide ones, within
//! which a register finds enough to do, go one by one.

// Reason: see gemm/tile.rs.
#![allow(clippy::needless_range_loop)]

use super::{Isa, Real, elementwise, kernel, reduce};

/// How many rows are worked on together.
const ABREAST: usize = 16;

/// The most elements that a row so treated has.
const WIDEST: usize = 32;

/// One element of each row.
type Column<T> = [T; ABREAST];

/// How many of `rows` rows of `n` elements go abreast.
#[inline(always)]
fn abreast(rows: usize, n: usize) -> usize {
    if n <= WIDEST { rows - rows % ABREAST } else { 0 }
}

/// Columns of [`ABREAST`] rows of `n` elements.
#[inline(always)]
fn turn<T: Real>(rows: &[T], n: usize, columns: &mut [Column<T>; WIDEST]) {
    assert!(rows.len() == ABREAST * n && n <= WIDEST, "whole rows");
    for (j, column) in columns[..n].iter_mut().enumerate() {
        for i in 0..ABREAST {
            // SAFETY: there are `ABREAST` rows of `n` elements.
            column[i] = unsafe { *rows.get_unchecked(i * n + j) };
        }
    }
}

/// The way back.
#[inline(always)]
fn turn_back<T: Real>(columns: &[Column<T>], rows: &mut [T]) {
    let n = columns.len();
    assert!(rows.len() == ABREAST * n, "whole rows");
    for (j, column) in columns.iter().enumerate() {
        for i in 0..ABREAST {
            // SAFETY: there are `ABREAST` rows of `n` elements.
            unsafe { *rows.get_unchecked_mut(i * n + j) = column[i] };
        }
    }
}

/// m of each row: its largest element.
#[inline(always)]
fn largest<T: Real>(z: &[Column<T>]) -> Column<T> {
    let mut largest = z[0];
    for z in z {
        for i in 0..ABREAST {
            largest[i] = if z[i] > largest[i] { z[i] } else { largest[i] };
        }
    }
    largest
}

/// exp(z - m) in place of z; returns their sums, ascending along each row.
#[inline(always)]
fn exponentials<T: Real>(z: &mut [Column<T>], largest: &Column<T>) -> Column<T> {
    let mut sums = [T::ZERO; ABREAST];
    for z in z {
        for i in 0..ABREAST {
            z[i] = (z[i] - largest[i]).exp();
            sums[i] = sums[i] + z[i];
        }
    }
    sums
}

kernel! {
    /// a = exp(z - m) / S of each row of whole blocks of [`ABREAST`].
    fn softmax_blocks<T>(z: &[T], a: &mut [T], n: usize) {
        let mut columns = [[T::ZERO; ABREAST]; WIDEST];
        for (z, a) in z.chunks_exact(ABREAST * n).zip(a.chunks_exact_mut(ABREAST * n)) {
            turn(z, n, &mut columns);
            let columns = &mut columns[..n];
            let largest = largest(columns);
            let sums = exponentials(columns, &largest);
            for a in &mut *columns {
                for i in 0..ABREAST {
                    a[i] = a[i] / sums[i];
                }
            }
            turn_back(columns, a);
        }
    }
}

kernel! {
    /// log(S) - (z - m) at each row's label.
    fn log_loss_blocks_at<T>(z: &[T], labels: &[u32], losses: &mut [T], n: usize) {
        let mut columns = [[T::ZERO; ABREAST]; WIDEST];
        let labels = labels.chunks_exact(ABREAST);
        let blocks = z.chunks_exact(ABREAST * n).zip(losses.chunks_exact_mut(ABREAST));
        for ((z, losses), labels) in blocks.zip(labels) {
            turn(z, n, &mut columns);
            let largest = largest(&columns[..n]);
            let sums = exponentials(&mut columns[..n], &largest);
            let mut wanted = [T::ZERO; ABREAST];
            for i in 0..ABREAST {
                wanted[i] = z[i * n + labels[i] as usize];
            }
            for i in 0..ABREAST {
                losses[i] = sums[i].log() - (wanted[i] - largest[i]);
            }
        }
    }
}

kernel! {
    /// What training asks of rows with labels, at once: a = exp(z - m) / S, the loss log(S) - (z - m) at
    /// the label, r = (a - y) / `batch` where y is 1 at the label and else 0, and how many rows have
    /// their largest a, the first of equals, at the label.
    fn classify_blocks<T>(
        z: &[T], labels: &[u32], losses: &mut [T], r: &mut [T], n: usize, batch: T,
    ) -> u64 {
        let mut columns = [[T::ZERO; ABREAST]; WIDEST];
        let blocks = z.chunks_exact(ABREAST * n).zip(r.chunks_exact_mut(ABREAST * n));
        let answers = labels.chunks_exact(ABREAST).zip(losses.chunks_exact_mut(ABREAST));
        let mut correct = 0;
        for ((z, r), (labels, losses)) in blocks.zip(answers) {
            turn(z, n, &mut columns);
            let columns = &mut columns[..n];
            let largest = largest(columns);
            let mut wanted = [T::ZERO; ABREAST];
            for i in 0..ABREAST {
                wanted[i] = z[i * n + labels[i] as usize];
            }
            let sums = exponentials(columns, &largest);
            for i in 0..ABREAST {
                losses[i] = sums[i].log() - (wanted[i] - largest[i]);
            }
            // a is at least 0, or NaN, which is never above.
            let (mut best, mut places) = ([-T::ONE; ABREAST], [0; ABREAST]);
            for (a, place) in columns.iter_mut().zip(0..) {
                for i in 0..ABREAST {
                    a[i] = a[i] / sums[i];
                    let above = a[i] > best[i];
                    best[i] = if above { a[i] } else { best[i] };
                    places[i] = if above { place } else { places[i] };
                    let y = if labels[i] == place { T::ONE } else { T::ZERO };
                    a[i] = (a[i] - y) / batch;
                }
            }
            for i in 0..ABREAST {
                correct += u64::from(places[i] == labels[i]);
            }
            turn_back(columns, r);
        }
        correct
    }
}

kernel! {
    /// The sum of y (log(S) - (z - m)) along each row.
    fn log_loss_blocks<T>(z: &[T], y: &[T], losses: &mut [T], n: usize) {
        let (mut zs, mut ys) = ([[T::ZERO; ABREAST]; WIDEST], [[T::ZERO; ABREAST]; WIDEST]);
        let blocks = z.chunks_exact(ABREAST * n).zip(y.chunks_exact(ABREAST * n));
        for ((z, y), losses) in blocks.zip(losses.chunks_exact_mut(ABREAST)) {
            turn(z, n, &mut zs);
            turn(y, n, &mut ys);
            let largest = largest(&zs[..n]);
            let mut logs = exponentials(&mut zs[..n], &largest);
            for log in &mut logs {
                *log = log.log();
            }
            turn(z, n, &mut zs);
            losses.fill(T::ZERO);
            for (z, y) in zs[..n].iter().zip(&ys) {
                for i in 0..ABREAST {
                    losses[i] = losses[i] + y[i] * (logs[i] - (z[i] - largest[i]));
                }
            }
        }
    }
}

kernel! {
    /// The sum of (a - y)^2 along each row.
    fn squared_distance_blocks<T>(a: &[T], y: &[T], losses: &mut [T], n: usize) {
        let (mut all, mut ys) = ([[T::ZERO; ABREAST]; WIDEST], [[T::ZERO; ABREAST]; WIDEST]);
        let blocks = a.chunks_exact(ABREAST * n).zip(y.chunks_exact(ABREAST * n));
        for ((a, y), losses) in blocks.zip(losses.chunks_exact_mut(ABREAST)) {
            turn(a, n, &mut all);
            turn(y, n, &mut ys);
            losses.fill(T::ZERO);
            for (a, y) in all[..n].iter().zip(&ys) {
                for i in 0..ABREAST {
                    let d = a[i] - y[i];
                    losses[i] = losses[i] + d * d;
                }
            }
        }
    }
}

kernel! {
    /// How many rows have their largest element, the first of equals, at their label.
    fn largest_blocks_at<T>(a: &[T], labels: &[u32], n: usize) -> u64 {
        let mut columns = [[T::ZERO; ABREAST]; WIDEST];
        let mut count = 0;
        for (a, labels) in a.chunks_exact(ABREAST * n).zip(labels.chunks_exact(ABREAST)) {
            turn(a, n, &mut columns);
            let (mut best, mut places) = (columns[0], [0_u32; ABREAST]);
            for (a, place) in columns[..n].iter().zip(0..) {
                for i in 0..ABREAST {
                    let above = a[i] > best[i];
                    best[i] = if above { a[i] } else { best[i] };
                    places[i] = if above { place } else { places[i] };
                }
            }
            for i in 0..ABREAST {
                count += u32::from(places[i] == labels[i]);
            }
        }
        u64::from(count)
    }
}

/// [`reduce::softmax`] of each row: z and a are (rows, n).
pub fn softmax<T: Real>(isa: Isa, z: &[T], a: &mut [T], n: usize) {
    let whole = abreast(z.len() / n, n) * n;
    softmax_blocks(isa, &z[..whole], &mut a[..whole], n);
    for (z, a) in z[whole..].chunks_exact(n).zip(a[whole..].chunks_exact_mut(n)) {
        reduce::softmax(isa, z, a);
    }
}

/// [`reduce::log_loss_at`] the label of each row: z (rows, n), labels and losses (rows,).
pub fn log_losses_at<T: Real>(isa: Isa, z: &[T], labels: &[u32], losses: &mut [T], n: usize) {
    let whole = abreast(losses.len(), n);
    log_loss_blocks_at(isa, &z[..whole * n], &labels[..whole], &mut losses[..whole], n);
    for (i, loss) in losses.iter_mut().enumerate().skip(whole) {
        *loss = reduce::log_loss_at(isa, &z[i * n..(i + 1) * n], labels[i] as usize);
    }
}

/// [`reduce::softmax`] and [`reduce::log_loss_at`] the label of each row, and what follows: the losses
/// (rows,) and r = (a - y) / `batch`, (rows, n). Returns how many rows have their largest a, the
/// first of equals, at their label. z (rows, n), labels (rows,).
pub fn classify<T: Real>(
    isa: Isa,
    (z, labels): (&[T], &[u32]),
    losses: &mut [T],
    r: &mut [T],
    (n, batch): (usize, T),
) -> u64 {
    let whole = abreast(losses.len(), n);
    let (z_whole, z_rest) = z.split_at(whole * n);
    let (r_whole, r_rest) = r.split_at_mut(whole * n);
    let (losses, losses_rest) = losses.split_at_mut(whole);
    let (labels, labels_rest) = labels.split_at(whole);
    let mut correct = classify_blocks(isa, z_whole, labels, losses, r_whole, n, batch);
    let rows = z_rest.chunks_exact(n).zip(r_rest.chunks_exact_mut(n));
    for ((z, a), (&label, loss)) in rows.zip(labels_rest.iter().zip(losses_rest)) {
        let label = label as usize;
        *loss = reduce::log_loss_at(isa, z, label);
        reduce::softmax(isa, z, a);
        correct += u64::from(reduce::largest(a) == label);
        a[label] = a[label] - T::ONE;
    }
    elementwise::divide(isa, r_rest, batch);
    correct
}

/// [`reduce::log_loss`] of each row: z and y (rows, n), losses (rows,).
pub fn log_losses<T: Real>(isa: Isa, z: &[T], y: &[T], losses: &mut [T], n: usize) {
    let whole = abreast(losses.len(), n);
    log_loss_blocks(isa, &z[..whole * n], &y[..whole * n], &mut losses[..whole], n);
    for (i, loss) in losses.iter_mut().enumerate().skip(whole) {
        let row = i * n..(i + 1) * n;
        *loss = reduce::log_loss(isa, &z[row.clone()], &y[row]);
    }
}

/// [`reduce::squared_distance`] of each row: a and y (rows, n), losses (rows,).
pub fn squared_distances<T: Real>(isa: Isa, a: &[T], y: &[T], losses: &mut [T], n: usize) {
    let whole = abreast(losses.len(), n);
    squared_distance_blocks(isa, &a[..whole * n], &y[..whole * n], &mut losses[..whole], n);
    for (i, loss) in losses.iter_mut().enumerate().skip(whole) {
        let row = i * n..(i + 1) * n;
        *loss = reduce::squared_distance(isa, &a[row.clone()], &y[row]);
    }
}

/// How many rows have their largest element, the first of equals, at their label: a (rows, n),
/// labels (rows,).
pub fn count_largest_at<T: Real>(isa: Isa, a: &[T], labels: &[u32], n: usize) -> u64 {
    let whole = abreast(labels.len(), n);
    let count = largest_blocks_at(isa, &a[..whole * n], &labels[..whole], n);
    let rest = a[whole * n..].chunks_exact(n).zip(&labels[whole..]);
    count + rest.map(|(a, &label)| u64::from(reduce::largest(a) == label as usize)).sum::<u64>()
}

#[cfg(test)]
#[path = "abreast_tests.rs"]
mod tests;
