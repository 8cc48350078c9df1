//! Products and steps of a row judged by the oracle, the rest by plain loops, bit for bit.

use super::{
    Bound, Descent, add_magnitudes, clear_padding, difference, identity, largest_is_at, magnitude,
    product, relu, relu_backward, sigmoid, sigmoid_backward, step, tanh, tanh_backward,
    twice_difference,
};
use crate::kernels::lines::{LINE, Line, Lines, Wide, Work, flat};
use crate::kernels::testing::{assert_bits, extreme, in_lines, mild, work};
use crate::kernels::{Isa, Real, oracle};
use crate::matrix::MatRef;

type Draw<T> = fn(u64, usize) -> Vec<T>;

/// Does the same for both element types, with mild and with extreme numbers.
macro_rules! all_kinds {
    ($check:ident $(, $argument:expr)*) => {
        $check::<f32>(mild $(, $argument)*);
        $check::<f32>(extreme $(, $argument)*);
        $check::<f64>(mild $(, $argument)*);
        $check::<f64>(extreme $(, $argument)*);
    };
}

/// Around the blocks of rule 1, and around three of them side by side.
const DEPTHS: [usize; 13] = [0, 1, 2, 3, 17, 255, 256, 257, 512, 767, 768, 769, 1030];

work! { Product<'a, T> { x: &'a [T], w: &'a [Line<T>], z: &'a mut [Line<T>] } product, () }

fn check_product<T: Real>(draw: Draw<T>, k: usize, lines: usize) {
    let (x, w) = (draw(1, k), draw(2, k * lines * LINE));
    let expected = oracle::product(MatRef::new(&x, 1, k), MatRef::new(&w, k, lines * LINE));
    let w = in_lines(&w);
    for isa in Isa::available() {
        let mut z = in_lines(&draw(3, lines * LINE));
        isa.run(Product { x: &x, w: &w, z: &mut z });
        assert_bits(flat(&z), &expected, &format!("{} {k} {lines}", isa.name()));
    }
}

#[test]
fn products_of_every_width() {
    for k in DEPTHS {
        for lines in 1..=9 {
            all_kinds!(check_product, k, lines);
        }
    }
}

work! {
    Step<'a, T> {
        x: &'a [T], r: &'a [Line<T>], w: &'a mut [Line<T>], v: &'a mut [Line<T>], by: Descent<T>,
    }
    step, ()
}

/// Each way of descent: plain, with l2, with momentum, with both.
fn descents<T: Real>() -> impl Iterator<Item = Descent<T>> {
    let each = [(0.0, 0.0), (0.0, 0.01), (0.9, 0.0), (0.9, 0.01)];
    each.into_iter().map(|(momentum, l2)| {
        let [rate, momentum, l2] = [0.3, momentum, l2].map(T::from_f64);
        Descent { rate, momentum, l2 }
    })
}

/// The parameters and velocities after a step by gradients g.
fn descended<T: Real>(w: &[T], v: &[T], g: &[T], by: Descent<T>) -> (Vec<T>, Vec<T>) {
    let one = |i| oracle::descend(w[i], v[i], g[i], by.rate, by.momentum, by.l2);
    (0..w.len()).map(one).unzip()
}

fn check_step<T: Real>(draw: Draw<T>, k: usize, lines: usize) {
    let n = lines * LINE;
    let (x, r) = (draw(1, k), draw(2, n));
    let (w, v) = (draw(3, k * n), draw(4, k * n));
    let g = oracle::product(MatRef::new(&x, k, 1), MatRef::new(&r, 1, n));
    for by in descents() {
        let (expected, velocity) = descended(&w, &v, &g, by);
        for isa in Isa::available() {
            let what = format!("{} {k} {lines} {by:?}", isa.name());
            let (mut found, mut moved) = (in_lines(&w), in_lines(&v));
            let moving = by.momentum != T::ZERO;
            let used = if moving { &mut moved[..] } else { &mut [] };
            isa.run(Step { x: &x, r: &in_lines(&r), w: &mut found, v: used, by });
            assert_bits(flat(&found), &expected, &what);
            assert_bits(flat(&moved), if moving { &velocity } else { &v }, &what);
        }
    }
}

#[test]
fn steps_of_every_width() {
    for k in [0, 1, 2, 7, 300] {
        for lines in 1..=5 {
            all_kinds!(check_step, k, lines);
        }
    }
}

work! { Difference<'a, T> { a: &'a [Line<T>], y: &'a [Line<T>], d: &'a mut [Line<T>] } difference, () }
work! {
    Twice<'a, T> { a: &'a [Line<T>], y: &'a [Line<T>], d: &'a mut [Line<T>] } twice_difference, ()
}

fn check_elements<T: Real>(draw: Draw<T>, lines: usize) {
    let (a, y) = (draw(1, lines * LINE), draw(2, lines * LINE));
    let (in_a, in_y) = (in_lines(&a), in_lines(&y));
    let each = |f: fn(T, T) -> T| a.iter().zip(&y).map(|(&a, &y)| f(a, y)).collect::<Vec<T>>();
    for isa in Isa::available() {
        let mut d = in_lines(&draw(3, lines * LINE));
        isa.run(Difference { a: &in_a, y: &in_y, d: &mut d });
        assert_bits(flat(&d), &each(|a, y| a - y), isa.name());
        isa.run(Twice { a: &in_a, y: &in_y, d: &mut d });
        assert_bits(flat(&d), &each(|a, y| T::TWO * (a - y)), isa.name());
    }
}

#[test]
fn differences() {
    for lines in 0..=3 {
        all_kinds!(check_elements, lines);
    }
}

macro_rules! activation {
    ($work:ident, $f:ident) => {
        work! {
            $work<'a, T> { b: &'a [Line<T>], z: &'a mut [Line<T>], a: &'a mut [Line<T>] } $f, ()
        }
    };
}
activation!(Identity, identity);
activation!(Relu, relu);
activation!(Sigmoid, sigmoid);
activation!(Tanh, tanh);

fn check_activations<T: Real>(draw: Draw<T>, lines: usize) {
    let (before, b) = (draw(1, lines * LINE), draw(2, lines * LINE));
    let sums: Vec<T> = before.iter().zip(&b).map(|(&z, &b)| z + b).collect();
    let off = |z| if z <= T::ZERO { T::ZERO } else { z };
    for isa in Isa::available() {
        macro_rules! judge {
            ($work:ident, $sigma:expr) => {
                let (mut z, mut a) = (in_lines(&before), in_lines(&draw(3, lines * LINE)));
                isa.run($work { b: &in_lines(&b), z: &mut z, a: &mut a });
                let expected: Vec<T> = sums.iter().map($sigma).collect();
                assert_bits(flat(&z), &sums, isa.name());
                assert_bits(flat(&a), &expected, isa.name());
            };
        }
        judge!(Identity, |&z| z);
        judge!(Relu, |&z| off(z));
        judge!(Sigmoid, |&z| z.sigmoid());
        judge!(Tanh, |&z| z.tanh());
    }
}

#[test]
fn biases_and_activations() {
    for lines in 0..=3 {
        all_kinds!(check_activations, lines);
    }
}

work! {
    SigmoidBack<'a, T> { a: &'a [Line<T>], d: &'a mut [Line<T>], n: usize, small: T }
    sigmoid_backward, u64
}
work! {
    TanhBack<'a, T> { a: &'a [Line<T>], d: &'a mut [Line<T>], n: usize, small: T }
    tanh_backward, u64
}
work! { ReluBack<'a, T> { z: &'a [Line<T>], d: &'a mut [Line<T>], n: usize } relu_backward, u64 }

fn check_backward<T: Real>(draw: Draw<T>, n: usize) {
    let padded = n.next_multiple_of(LINE);
    let only_n = |seed| {
        let mut numbers = draw(seed, padded);
        numbers[n..].fill(T::ZERO);
        numbers
    };
    let (a, d, small) = (only_n(1), only_n(2), T::from_f64(0.2));
    let judge = |isa: Isa, found: (u64, Vec<Line<T>>), slope: &dyn Fn(T) -> (bool, T)| {
        let small = (0..n).filter(|&i| slope(a[i]).0).count();
        let expected: Vec<T> = (0..padded).map(|i| slope(a[i]).1 * d[i]).collect();
        assert_eq!(found.0, small as u64, "{} {n}", isa.name());
        assert_bits(flat(&found.1), &expected, &format!("{} {n}", isa.name()));
    };
    for isa in Isa::available() {
        let in_a = in_lines(&a);
        let mut back = in_lines(&d);
        let count = isa.run(SigmoidBack { a: &in_a, d: &mut back, n, small });
        let slope = |a| a * (T::ONE - a);
        judge(isa, (count, back), &|a| (slope(a) < small, slope(a)));
        let mut back = in_lines(&d);
        let count = isa.run(TanhBack { a: &in_a, d: &mut back, n, small });
        let slope = |a| T::ONE - a * a;
        judge(isa, (count, back), &|a| (slope(a) < small, slope(a)));
        let mut back = in_lines(&d);
        let count = isa.run(ReluBack { z: &in_a, d: &mut back, n });
        let off = (0..n).filter(|&i| a[i] <= T::ZERO).count();
        let left = |(&z, &d): (&T, &T)| if z <= T::ZERO { T::ZERO } else { d };
        assert_eq!(count, off as u64, "{} {n}", isa.name());
        assert_bits(flat(&back), &a.iter().zip(&d).map(left).collect::<Vec<T>>(), isa.name());
    }
}

#[test]
fn slopes_and_their_counts() {
    for n in [1, 2, 10, 15, 16, 17, 31, 32, 33, 70] {
        all_kinds!(check_backward, n);
    }
}

work! { Clear<'a, T> { lines: &'a mut [Line<T>], mask: &'a Line<T> } clear_padding, () }
work! { Largest<'a, T> { a: &'a [Line<T>], n: usize, place: usize } largest_is_at, bool }

fn check_places<T: Real>(draw: Draw<T>, n: usize) {
    let padded = n.next_multiple_of(LINE);
    let numbers = draw(1, padded);
    // Few different ones, so that there are equals; what stands behind the n-th does not count.
    let coarse: Vec<T> = numbers.iter().map(|&x| T::from_f64((x.to_f64() * 3.0).trunc())).collect();
    let mut mask = Line::default();
    mask.0[..n - (padded - LINE)].fill(T::ONE);
    for isa in Isa::available() {
        let mut cleared = in_lines(&numbers);
        isa.run(Clear { lines: &mut cleared, mask: &mask });
        let mut expected = numbers.clone();
        expected[n..].fill(T::ZERO);
        assert_bits(flat(&cleared), &expected, isa.name());
        let first = (0..n).fold(0, |best, i| if coarse[i] > coarse[best] { i } else { best });
        for place in 0..n {
            let found = isa.run(Largest { a: &in_lines(&coarse), n, place });
            assert_eq!(found, place == first, "{} {n} {place}", isa.name());
        }
    }
}

#[test]
fn padding_and_the_largest() {
    for n in [1, 2, 10, 15, 16, 17, 31, 32, 33, 70] {
        all_kinds!(check_places, n);
    }
}

work! { Magnitude<'a, T> { x: &'a [T] } magnitude, T }
struct Add<'a, T> {
    x: &'a [Line<T>],
    sums: &'a mut Line<T>,
}

impl<T: Real> Work<T> for Add<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<S: Lines<T = T>>(self, s: S) {
        add_magnitudes(s, self.x, Wide::load(s, self.sums)).store(self.sums);
    }
}

fn check_magnitudes<T: Real>(draw: Draw<T>, n: usize) {
    let x = draw(1, n);
    let lanes = |x: &[T], first: Line<T>| {
        x.chunks_exact(LINE).fold(first, |mut sums, x| {
            sums.0.iter_mut().zip(x).for_each(|(sum, x)| *sum = *sum + x.abs());
            sums
        })
    };
    let whole = n - n % LINE;
    let expected = lanes(&x, Line::default()).0.into_iter().chain(x[whole..].iter().copied());
    let expected = expected.fold(T::ZERO, |sum, x| sum + x.abs());
    for isa in Isa::available() {
        let found = isa.run(Magnitude { x: &x });
        assert_bits(&[found], &[expected], isa.name());
        assert!(x.iter().all(|x| x.abs() <= found));
        let before = in_lines(&mild::<T>(2, LINE))[0];
        let mut sums = before;
        isa.run(Add { x: &in_lines(&x[..whole]), sums: &mut sums });
        assert_bits(&sums.0, &lanes(&x[..whole], before).0, isa.name());
        for at in 0..n {
            let mut x = x.clone();
            x[at] = T::ONE / T::ZERO;
            assert!(!isa.run(Magnitude { x: &x }).is_finite(), "{} {at}", isa.name());
        }
    }
}

#[test]
fn magnitudes() {
    for n in [0, 1, 15, 16, 17, 40] {
        all_kinds!(check_magnitudes, n);
    }
}

/// What [`Bound::grow`] is asked with.
struct Grow<'a, T> {
    bound: &'a mut Bound<T>,
    r: &'a Line<T>,
    reach: T,
    by: Descent<T>,
}

impl<T: Real> Work<T> for Grow<'_, T> {
    type Output = bool;

    #[inline(always)]
    fn run<S: Lines<T = T>>(self, s: S) -> bool {
        self.bound.grow(s, Wide::load(s, self.r), self.reach, self.by)
    }
}

/// Parameters and velocities of many magnitudes: whenever the bound says so, a step is finite, and
/// what comes out is within it.
fn check_bound<T: Real>(draw: Draw<T>, seed: u64) -> (usize, usize) {
    let (x, r) = (draw(seed, 9), draw(seed + 100, LINE));
    let (w, v) = (draw(seed + 200, 9 * LINE), draw(seed + 300, 9 * LINE));
    let g = oracle::product(MatRef::new(&x, 9, 1), MatRef::new(&r, 1, LINE));
    let (mut yes, mut no) = (0, 0);
    for by in descents() {
        let (moved, velocity) = descended(&w, &v, &g, by);
        for isa in Isa::available() {
            let mut bound = Bound::default();
            bound.cover(&in_lines(&w), &in_lines(&v));
            let before = bound;
            let reach = x.iter().fold(T::ONE, |reach, x| reach + x.abs());
            let mut magnitudes = Line::default();
            isa.run(Add { x: &in_lines(&r), sums: &mut magnitudes });
            if isa.run(Grow { bound: &mut bound, r: &magnitudes, reach, by }) {
                yes += 1;
                let slack = T::ONE + T::from_f64(1e-5);
                for (i, (w, v)) in moved.iter().zip(&velocity).enumerate() {
                    assert!(w.abs() <= bound.w.0[i % LINE] * slack, "{} {i}", isa.name());
                    assert!(by.momentum == T::ZERO || v.abs() <= bound.v.0[i % LINE] * slack);
                }
            } else {
                no += 1;
                assert_eq!((bound.w, bound.v), (before.w, before.v), "as it was");
            }
        }
    }
    (yes, no)
}

#[test]
fn a_bound_covers_the_step_that_it_allows() {
    let (mut yes, mut no) = (0, 0);
    for seed in 0..40 {
        for (allowed, refused) in [
            check_bound::<f32>(mild, seed),
            check_bound::<f32>(extreme, seed),
            check_bound::<f64>(mild, seed),
            check_bound::<f64>(extreme, seed),
        ] {
            yes += allowed;
            no += refused;
        }
    }
    assert!(yes > 50 && no > 50, "{yes} and {no}: or it shows little");
}
