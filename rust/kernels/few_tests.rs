//! Products and steps of a few rows judged by the oracle, bit for bit.

use super::{Moved, product, product_lit, step, step_biases, step_lit};
use crate::kernels::gemm::BLOCK;
use crate::kernels::lines::{LINE, Line, Lines, Work, flat};
use crate::kernels::rows::Descent;
use crate::kernels::sparse::{Lit, LitPixel, LitRow, LitValue};
use crate::kernels::testing::{
    MET_ENDS, any_of, assert_bits, extreme, in_lines, mild, quotients, work,
};
use crate::kernels::tiny::largest_tiny;
use crate::kernels::{Isa, Real, oracle};
use crate::matrix::MatRef;
use crate::rng::Words;

type Draw<T> = fn(u64, usize) -> Vec<T>;

work! {
    Product<'a, T> { rows: usize, x: (&'a [Line<T>], usize), w: &'a [Line<T>], z: &'a mut [Line<T>] }
    product, ()
}
work! {
    Step<'a, T> {
        rows: usize,
        x: (&'a [Line<T>], usize),
        r: &'a [Line<T>],
        parameters: Moved<'a, T>,
        by: Descent<T>,
    }
    step, bool
}
work! {
    StepBiases<'a, T> {
        r: &'a [Line<T>], parameters: Moved<'a, T>, by: Descent<T>,
    }
    step_biases, bool
}

/// Rows (rows, k) in lines of their own, with anything behind them.
fn spread<T: Real>(x: &[T], k: usize) -> Vec<Line<T>> {
    let mut all = Vec::new();
    for row in x.chunks_exact(k) {
        all.extend_from_slice(row);
        all.resize(all.len().next_multiple_of(LINE), T::from_f64(-3.0));
    }
    in_lines(&all)
}

/// Each way of descent: plain, with l2, with momentum, with both.
fn descents<T: Real>() -> impl Iterator<Item = Descent<T>> {
    let each = [(0.0, 0.0), (0.0, 0.01), (0.9, 0.0), (0.9, 0.01)];
    each.into_iter().map(|(momentum, l2)| {
        let [rate, momentum, l2] = [0.3, momentum, l2].map(T::from_f64);
        Descent { rate, momentum, l2 }
    })
}

/// Compares what `found` makes of parameters and velocities with a descent by gradients g.
fn check_descent<T: Real>(
    (w, v, g): (&[T], &[T], &[T]),
    by: Descent<T>,
    used: usize,
    what: &str,
    found: impl FnOnce(&mut [Line<T>], &mut [Line<T>]) -> bool,
) {
    let one = |i: usize| oracle::descend(w[i], v[i], g[i], by.rate, by.momentum, by.l2);
    let (mut expected, mut velocity): (Vec<T>, Vec<T>) = (0..used).map(one).unzip();
    let finite = expected.iter().all(|w| w.is_finite());
    expected.extend_from_slice(&w[used..]);
    velocity.extend_from_slice(&v[used..]);
    let (mut now, mut moved) = (in_lines(w), in_lines(v));
    let moving = by.momentum != T::ZERO;
    assert_eq!(found(&mut now, if moving { &mut moved } else { &mut [] }), finite, "{what}");
    assert_bits(flat(&now), &expected, what);
    assert_bits(flat(&moved), if moving { &velocity } else { v }, what);
}

fn check<T: Real>(draw: Draw<T>, rows: usize, k: usize, out: usize) {
    let n = out * LINE;
    let (x, r) = (draw(1, rows * k), draw(2, rows * n));
    let (w, v) = (draw(3, k * n), draw(4, k * n));
    let z = oracle::product(MatRef::new(&x, rows, k), MatRef::new(&w, k, n));
    let g = oracle::product(MatRef::new(&x, rows, k).transposed(), MatRef::new(&r, rows, n));
    let ones = vec![T::ONE; rows];
    let db = oracle::product(MatRef::new(&ones, 1, rows), MatRef::new(&r, rows, n));
    let (in_x, in_r) = (spread(&x, k), in_lines(&r));
    for isa in Isa::available() {
        let what = format!("{} {} {rows} {k} {out}", isa.name(), T::DTYPE);
        let mut found = in_lines(&draw(5, rows * n));
        isa.run(Product { rows, x: (&in_x, k), w: &in_lines(&w), z: &mut found });
        assert_bits(flat(&found), &z, &what);
        for by in descents() {
            check_descent((&w, &v, &g), by, k * n, &what, |w, v| {
                isa.run(Step { rows, x: (&in_x, k), r: &in_r, parameters: (w, v), by })
            });
            let unweighted = Descent { l2: T::ZERO, ..by };
            check_descent((&w[..n], &v[..n], &db), unweighted, n, &what, |w, v| {
                isa.run(StepBiases { r: &in_r, parameters: (w, v), by })
            });
        }
    }
}

#[test]
fn rows_in_lines() {
    for rows in [1, 2, 3, 4, 7, 10, 15] {
        for (k, out) in [
            (1, 1),
            (2, 3),
            (3, 1),
            (16, 2),
            (30, 1),
            (257, 2),
            (520, 1),
            (520, 2),
            (790, 3),
            (1290, 2),
        ] {
            check::<f32>(mild, rows, k, out);
            check::<f32>(extreme, rows, k, out);
            check::<f64>(mild, rows, k, out);
            check::<f64>(extreme, rows, k, out);
        }
    }
}

/// What of rows is not zero, and where each block begins.
struct Listed<E> {
    entries: Vec<E>,
    bounds: Vec<u32>,
    blocks: usize,
}

impl<E> Listed<E> {
    fn new<V: Copy>(x: &[V], k: usize, entry: impl Fn(u8, V) -> Option<E>) -> Self {
        let (mut entries, mut bounds) = (Vec::new(), vec![0]);
        for block in x.chunks_exact(k).flat_map(|row| row.chunks(BLOCK)) {
            entries.extend((0..=255).zip(block).filter_map(|(at, &value)| entry(at, value)));
            bounds.push(u32::try_from(entries.len()).unwrap());
        }
        Self { entries, bounds, blocks: k.div_ceil(BLOCK) }
    }

    fn row(&self, i: usize) -> LitRow<'_, E> {
        let first = i * self.blocks;
        LitRow::new(&self.entries, &self.bounds[first..=first + self.blocks])
    }
}

struct ProductLit<'a, T, E, const L: usize> {
    lists: &'a Listed<E>,
    w: &'a [Line<T>],
    z: &'a mut [Line<T>],
}

impl<T: Real, E: Lit<T>, const L: usize> Work<T> for ProductLit<'_, T, E, L> {
    type Output = ();

    #[inline(always)]
    fn run<S: Lines<T = T>>(self, s: S) {
        product_lit::<S, E, L>(s, &|i| self.lists.row(i), self.w, self.z);
    }
}

struct StepLit<'a, T, E, const L: usize> {
    lists: &'a Listed<E>,
    k: usize,
    r: &'a [Line<T>],
    parameters: Moved<'a, T>,
    by: Descent<T>,
    sums: &'a mut [Line<T>],
}

impl<T: Real, E: Lit<T>, const L: usize> Work<T> for StepLit<'_, T, E, L> {
    type Output = bool;

    #[inline(always)]
    fn run<S: Lines<T = T>>(self, s: S) -> bool {
        let Self { lists, k, r, parameters, by, sums } = self;
        step_lit::<S, E, L>(s, (&|i| lists.row(i), k), r, parameters, by, sums)
    }
}

/// x (rows, k) as it is listed.
fn check_lit<T: Real, E: Lit<T>, const L: usize>(
    draw: Draw<T>,
    x: &[T],
    k: usize,
    lists: &Listed<E>,
) {
    let (rows, n, padded) = (x.len() / k, L * LINE, k.next_multiple_of(BLOCK));
    let r = draw(2, rows * n);
    let (w, v) = (draw(3, padded * n), draw(4, padded * n));
    let z = oracle::product(MatRef::new(x, rows, k), MatRef::new(&w, k, n));
    let g = oracle::product(MatRef::new(x, rows, k).transposed(), MatRef::new(&r, rows, n));
    let in_r = in_lines(&r);
    for isa in Isa::available() {
        let what = format!("{} {} {rows} {k} {L}", isa.name(), T::DTYPE);
        let mut found = in_lines(&draw(5, rows * n));
        isa.run(ProductLit::<_, _, L> { lists, w: &in_lines(&w), z: &mut found });
        assert_bits(flat(&found), &z, &what);
        let mut sums = vec![Line::default(); 2 * BLOCK * L];
        for by in descents() {
            check_descent((&w, &v, &g), by, k * n, &what, |w, v| {
                let (r, parameters, sums) = (&in_r, (w, v), &mut sums);
                isa.run(StepLit::<_, _, L> { lists, k, r, parameters, by, sums })
            });
            assert_bits(flat(&sums), &vec![T::ZERO; 2 * BLOCK * n], &what);
        }
    }
}

fn check_lists<T: Real>(draw: Draw<T>, rows: usize, k: usize) {
    let words = Words::new(9, 97, 0).take(rows * k).map(u64::to_le_bytes).enumerate();
    // Of the second block nothing, and some rows without any.
    let lit = |(i, [pixel, chance, ..]): (usize, [u8; 8])| {
        if i % k / BLOCK == 1 || i / k % 5 == 4 || chance > 60 { 0 } else { pixel }
    };
    let pixels: Vec<u8> = words.map(lit).collect();
    let x: Vec<T> = quotients(&pixels);
    let listed = Listed::new(&pixels, k, |at, pixel| (pixel > 0).then_some(LitPixel { at, pixel }));
    check_lit::<T, _, 1>(draw, &x, k, &listed);
    check_lit::<T, _, 2>(draw, &x, k, &listed);

    let mut x = draw(7, rows * k);
    for (x, pixel) in x.iter_mut().zip(&pixels) {
        *x = if *pixel > 0 { *x } else { T::ZERO };
    }
    let listed =
        Listed::new(&x, k, |at, value| (value != T::ZERO).then_some(LitValue { value, at }));
    check_lit::<T, _, 1>(draw, &x, k, &listed);
    check_lit::<T, _, 2>(draw, &x, k, &listed);
}

#[test]
fn rows_as_listed() {
    for rows in [1, 2, 3, 10, 15] {
        for k in [5, 256, 784] {
            check_lists::<f32>(mild, rows, k);
            check_lists::<f32>(extreme, rows, k);
            check_lists::<f64>(mild, rows, k);
            check_lists::<f64>(extreme, rows, k);
        }
    }
}

/// Steps by deltas of which some are tiny: in rows where others are not, and in all.
fn check_saturated<T: Real, const L: usize>() {
    let (tiny, epsilon) = (largest_tiny::<T>().to_f64(), T::EPSILON.to_f64());
    let least = if T::LANES == 8 { f64::from(f32::from_bits(1)) } else { f64::from_bits(1) };
    let signed = |x: f64| [x, -x];
    let tinies = [least, 1e3 * least, tiny * 1e-5, tiny, 0.0];
    let deltas: Vec<f64> =
        tinies.into_iter().chain([tiny * (1.0 + epsilon), 1e-20, 0.5]).flat_map(signed).collect();
    let largest = if T::LANES == 8 { f64::from(f32::MAX) } else { f64::MAX };
    let huge: Vec<f64> = deltas.iter().copied().chain(signed(0.9 * largest)).collect();
    let tinies: Vec<f64> = tinies.into_iter().flat_map(signed).collect();
    let weights: Vec<f64> =
        [1.0, 0.3, tiny / epsilon, tiny, 1e5 * least, 0.0].into_iter().flat_map(signed).collect();
    for seed in 0..24 {
        let (k, rows, n) = (300, 1 + usize::try_from(seed).unwrap() % 7, L * LINE);
        let words = Words::new(seed, 93, 0).take(rows * k).map(u64::to_le_bytes);
        let lit = |[pixel, chance, ..]: [u8; 8]| if chance > 90 { 0 } else { pixel | 128 };
        let pixels: Vec<u8> = words.map(lit).collect();
        let lists =
            Listed::new(&pixels, k, |at, pixel| (pixel > 0).then_some(LitPixel { at, pixel }));
        let x: Vec<T> = quotients(&pixels);
        let some = [&tinies, &deltas, &deltas, &deltas, &huge][usize::try_from(seed).unwrap() % 5];
        let r = any_of(some, seed, rows * n);
        let weights = if seed % 2 == 0 { &[1.0, -0.3][..] } else { &weights };
        let w = any_of(weights, seed + 50, 2 * BLOCK * n);
        let g = oracle::product(MatRef::new(&x, rows, k).transposed(), MatRef::new(&r, rows, n));
        for rate in [0.3, 1e-20, 0.0, 1e30] {
            let by = Descent { rate: T::from_f64(rate), momentum: T::ZERO, l2: T::ZERO };
            for isa in Isa::available() {
                let mut sums = vec![Line::default(); 2 * BLOCK * L];
                let what = format!("{} {} {seed} {rate}", isa.name(), T::DTYPE);
                check_descent((&w, &w, &g), by, k * n, &what, |w, v| {
                    let (r, lists) = (&in_lines(&r), &lists);
                    let (parameters, sums) = ((w, v), &mut sums);
                    isa.run(StepLit::<_, _, L> { lists, k, r, parameters, by, sums })
                });
                assert_bits(flat(&sums), &vec![T::ZERO; 2 * BLOCK * n], &what);
            }
        }
    }
}

#[test]
fn tiny_deltas_move_what_they_can() {
    let all = [
        check_saturated::<f32, 1>,
        check_saturated::<f32, 2>,
        check_saturated::<f64, 1>,
        check_saturated::<f64, 2>,
    ];
    for check in all {
        MET_ENDS.take();
        check();
        MET_ENDS.met_both(1000);
    }
}
