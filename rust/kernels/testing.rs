//! What the tests of kernels share: numbers to try, and equality of bits.

use std::cell::Cell;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{self, LocalKey};

use super::Real;
use super::lines::{LINE, Line};
use crate::rng::{Words, uniform};

/// Counts on this thread how often a line of weights was moved exactly, and how often it was not.
pub(crate) struct Met(&'static LocalKey<Cell<[usize; 2]>>);

thread_local! {
    static TINY: Cell<[usize; 2]> = const { Cell::new([0; 2]) };
    static ENDS: Cell<[usize; 2]> = const { Cell::new([0; 2]) };
}

/// Counts parts of weights that are passed in a form: on this thread, and on those of the pool all together.
pub(crate) struct Passes {
    here: &'static LocalKey<Cell<usize>>,
    by_pool: AtomicUsize,
}

thread_local! {
    static ONCE: Cell<usize> = const { Cell::new(0) };
    static AHEAD: Cell<usize> = const { Cell::new(0) };
}

/// By `gemm/once.rs`.
pub(crate) static PASSED_ONCE: Passes = Passes::new(&ONCE);
/// By `gemm/ahead.rs`.
pub(crate) static MET_AHEAD: Passes = Passes::new(&AHEAD);

impl Passes {
    const fn new(here: &'static LocalKey<Cell<usize>>) -> Self {
        Self { here, by_pool: AtomicUsize::new(0) }
    }

    pub(crate) fn count(&self) {
        self.here.set(self.here.get() + 1);
        if thread::current().name().is_some_and(|name| name.starts_with("chainrule ")) {
            self.by_pool.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// How many on this thread; begins anew.
    pub(crate) fn take(&self) -> usize {
        self.here.take()
    }

    pub(crate) fn by_pool(&self) -> usize {
        self.by_pool.load(Ordering::Relaxed)
    }
}

thread_local! {
    static ALONE: Cell<bool> = const { Cell::new(false) };
}

/// Takes steps of which none meets the next rows ahead: as the judge of those that do.
pub(crate) fn each_alone<R>(steps: impl FnOnce() -> R) -> R {
    ALONE.set(true);
    let found = steps();
    ALONE.set(false);
    found
}

/// Whether it does now.
pub(crate) fn is_each_alone() -> bool {
    ALONE.get()
}

/// Rows that were decoded on a thread.
#[derive(Clone, Copy)]
pub(crate) struct Decodes {
    /// Whether they are where it does not pay, too.
    pub(crate) everywhere: bool,
    pub(crate) count: usize,
}

impl Decodes {
    pub(crate) fn one_more(self) -> Self {
        Self { count: self.count + 1, ..self }
    }
}

thread_local! {
    pub(crate) static DECODES: Cell<Decodes> =
        const { Cell::new(Decodes { everywhere: false, count: 0 }) };
}

/// By `tiny`.
pub(crate) static MET_TINY: Met = Met(&TINY);
/// By `ends`.
pub(crate) static MET_ENDS: Met = Met(&ENDS);

impl Met {
    pub(crate) fn count(&self, exactly: bool) {
        let mut met = self.0.get();
        met[usize::from(!exactly)] += 1;
        self.0.set(met);
    }

    /// Begins anew.
    pub(crate) fn take(&self) -> [usize; 2] {
        self.0.take()
    }

    /// Fails where not more than so many were moved in each way; begins anew.
    #[track_caller]
    pub(crate) fn met_both(&self, least: usize) {
        let [exactly, not] = self.take();
        let both = exactly > least && not > least;
        assert!(both, "{exactly} lines were moved exactly, {not} were not");
    }
}

/// `n` numbers from -1 to 1.
pub(crate) fn mild<T: Real>(seed: u64, n: usize) -> Vec<T> {
    Words::new(seed, 99, 0).take(n).map(|word| T::from_f64(2.0 * uniform(word) - 1.0)).collect()
}

/// `n` numbers of all magnitudes: zeros of both signs, subnormals, huge ones, and mild ones.
pub(crate) fn extreme<T: Real>(seed: u64, n: usize) -> Vec<T> {
    let largest = if T::LANES == 8 { f64::from(f32::MAX) } else { f64::MAX };
    let smallest = if T::LANES == 8 { f64::from(f32::from_bits(1)) } else { f64::from_bits(1) };
    let choose = |word: u64| {
        let mild = 2.0 * uniform(word) - 1.0;
        T::from_f64(match word % 8 {
            0 => 0.0,
            1 => -0.0,
            2 => smallest * (mild * 1000.0).trunc(),
            3 => mild * largest,
            4 => mild * largest.sqrt(),
            5 => mild * smallest.sqrt(),
            _ => mild,
        })
    };
    Words::new(seed, 98, 0).take(n).map(choose).collect()
}

/// `n` numbers, each one of some.
pub(crate) fn any_of<T: Real>(some: &[f64], seed: u64, n: usize) -> Vec<T> {
    let index = |word: u64| usize::try_from(word % some.len() as u64).unwrap();
    Words::new(seed, 95, 0).take(n).map(|word| T::from_f64(some[index(word)])).collect()
}

/// The bits of a number; every NaN counts as the same one.
pub(crate) fn bits<T: Real>(x: T) -> u64 {
    let x = x.to_f64();
    if x.is_nan() { f64::NAN.to_bits() } else { x.to_bits() }
}

/// Fails where any bit differs.
#[track_caller]
pub(crate) fn assert_bits<T: Real>(found: &[T], expected: &[T], what: &str) {
    assert_eq!(found.len(), expected.len(), "{what}");
    for (i, (&found, &expected)) in found.iter().zip(expected).enumerate() {
        assert_eq!(bits(found), bits(expected), "{what}: {found:?} for {expected:?} at {i}");
    }
}

/// What a network sees of pixels, divided one by one.
pub(crate) fn quotients<T: Real>(pixels: &[u8]) -> Vec<T> {
    pixels.iter().map(|&pixel| T::from_f64(pixel.into()) / T::from_f64(255.0)).collect()
}

/// Numbers line by line.
pub(crate) fn in_lines<T: Real>(numbers: &[T]) -> Vec<Line<T>> {
    let (lines, rest) = numbers.as_chunks::<LINE>();
    assert!(rest.is_empty(), "whole lines");
    lines.iter().map(|&line| Line(line)).collect()
}

/// Defines [`Work`](super::lines::Work) that calls a function with its fields.
macro_rules! work {
    ($name:ident<$a:lifetime, $t:ident $(, $e:ident)?> { $($field:ident: $ty:ty),* $(,)? }
     $f:expr, $ret:ty) => {
        struct $name<$a, $t $(, $e)?> {
            $($field: $ty),*
        }

        impl<$t: $crate::kernels::Real $(, $e: $crate::kernels::sparse::Lit<$t>)?>
            $crate::kernels::lines::Work<$t> for $name<'_, $t $(, $e)?>
        {
            type Output = $ret;

            #[inline(always)]
            fn run<S: $crate::kernels::lines::Lines<T = $t>>(self, s: S) -> $ret {
                $f(s, $(self.$field),*)
            }
        }
    };
}
pub(crate) use work;
