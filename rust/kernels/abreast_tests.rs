//! Many rows at a time judged row by row by the oracle, bit for bit.

use super::{classify, count_largest_at, log_losses, log_losses_at, softmax, squared_distances};
use crate::kernels::testing::{assert_bits, extreme, mild};
use crate::kernels::{Isa, Real, oracle, reduce};

fn rows_of<T: Real>(draw: fn(u64, usize) -> Vec<T>, rows: usize, n: usize) {
    let (z, y) = (draw(1, rows * n), mild::<T>(2, rows * n));
    let labels: Vec<u32> = (0..u32::try_from(n).unwrap()).rev().cycle().take(rows).collect();
    let each = || z.chunks(n).zip(y.chunks(n));
    let places = || z.chunks(n).zip(&labels);
    let of_labels = places().map(|(z, &label)| {
        let (largest, sum) = oracle::shifted_sum(z);
        sum.log() - (z[label as usize] - largest)
    });
    let of_labels: Vec<T> = of_labels.collect();
    let a_of = |z: &[T]| oracle::softmax(z);
    let right = places().filter(|&(z, &label)| reduce::largest(&a_of(z)) == label as usize).count();
    let r_of = |batch: T| -> Vec<T> {
        let r = |(z, &label): (&[T], &u32)| {
            let mut r = a_of(z);
            r[label as usize] = r[label as usize] - T::ONE;
            r.into_iter().map(move |r| r / batch).collect::<Vec<_>>()
        };
        places().flat_map(r).collect()
    };
    let correct = places().filter(|&(z, &label)| reduce::largest(z) == label as usize).count();
    for isa in Isa::available() {
        let what = format!("{} ({rows}, {n})", isa.name());
        let mut a = vec![T::ONE; rows * n];
        softmax(isa, &z, &mut a, n);
        assert_bits(&a, &z.chunks(n).flat_map(oracle::softmax).collect::<Vec<_>>(), &what);
        let mut losses = vec![T::ONE; rows];
        log_losses_at(isa, &z, &labels, &mut losses, n);
        assert_bits(&losses, &of_labels, &what);
        for batch in [1.0, 10_000.0].map(T::from_f64) {
            losses.fill(T::ONE);
            let found = classify(isa, (&z, &labels), &mut losses, &mut a, (n, batch));
            assert_bits(&losses, &of_labels, &what);
            assert_bits(&a, &r_of(batch), &what);
            assert_eq!(found, right as u64, "{what}");
        }
        log_losses(isa, &z, &y, &mut losses, n);
        let expected: Vec<T> = each().map(|(z, y)| oracle::log_loss(z, y)).collect();
        assert_bits(&losses, &expected, &what);
        squared_distances(isa, &z, &y, &mut losses, n);
        let expected: Vec<T> = each().map(|(z, y)| oracle::squared_distance(z, y)).collect();
        assert_bits(&losses, &expected, &what);
        assert_eq!(count_largest_at(isa, &z, &labels, n), correct as u64, "{what}");
    }
}

#[test]
fn rows_side_by_side_are_as_one_by_one() {
    for rows in [0, 1, 15, 16, 17, 47, 256] {
        for n in [1, 2, 3, 4, 10, 16, 31, 32, 33, 100] {
            rows_of::<f32>(mild, rows, n);
            rows_of::<f32>(extreme, rows, n);
            rows_of::<f64>(mild, rows, n);
            rows_of::<f64>(extreme, rows, n);
        }
    }
}

/// What is not finite, and equals: each row as one by one.
#[test]
fn labels_of_odd_rows_are_met_as_one_by_one() {
    let (nan, inf) = (f32::NAN, f32::INFINITY);
    let rows = [
        [nan, 1.0, 2.0],
        [1.0, 2.0, nan],
        [1.0, inf, 2.0],
        [-inf, -inf, -inf],
        [-inf, 0.0, -0.0],
        [2.0, 2.0, 1.0],
        [-0.0, 0.0, 0.0],
    ];
    for isa in Isa::available() {
        for count in [16, 17, 40] {
            for shift in 0..3 {
                let each: Vec<_> = rows.into_iter().cycle().take(count).collect();
                let labels: Vec<u32> = (shift..3).chain(0..3).cycle().take(count).collect();
                let (mut losses, mut r) = (vec![9.0; count], vec![9.0; count * 3]);
                let z = (&each.concat()[..], &labels[..]);
                let found = classify(isa, z, &mut losses, &mut r, (3, 7.0));
                let mut correct = 0;
                for (i, (z, &label)) in each.iter().zip(&labels).enumerate() {
                    let (label, mut a) = (label as usize, [9.0; 3]);
                    reduce::softmax(isa, z, &mut a);
                    correct += u64::from(reduce::largest(&a) == label);
                    a[label] -= 1.0;
                    let loss = reduce::log_loss_at(isa, z, label);
                    assert!(same(losses[i], loss), "{z:?} {label}: {} {loss}", losses[i]);
                    for (&r, a) in r[3 * i..].iter().zip(a) {
                        assert!(same(r, a / 7.0), "{z:?} {label}: {r} {a}");
                    }
                }
                assert_eq!(found, correct, "{} {count} {shift}", isa.name());
            }
        }
    }
}

/// The same bits; of NaN any.
fn same(x: f32, y: f32) -> bool {
    x.to_bits() == y.to_bits() || x.is_nan() && y.is_nan()
}

#[test]
fn the_first_of_equals_is_the_largest() {
    for isa in Isa::available() {
        let a = [1.0_f32, 3.0, 3.0, 2.0].repeat(17);
        for (label, count) in [(0, 0), (1, 17), (2, 0), (3, 0)] {
            assert_eq!(count_largest_at(isa, &a, &[label; 17], 4), count, "{}", isa.name());
        }
    }
}
