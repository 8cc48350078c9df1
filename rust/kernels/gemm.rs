//! Products of matrices in canonical order (rule 1 of `docs/exactness.md`).
//!
//! The index of summation is cut into blocks of [`BLOCK`]. Within a block every element of the
//! product is one chain of fused multiply-adds; the blocks are added in order. Lanes, tiles and
//! threads run over the elements of the product, never over the summation, so each chain is as in
//! the scalar loop.
//!
//! C is cut into chunks, which workers take one after the other. Within a chunk: block by block
//! along the summation; panels of B two registers wide, packed so that they stay in the caches: by the
//! first tile that meets one where it is whole and lies row by row, else beforehand, and not at all for
//! a few rows; tiles of A's rows that span two panels where there are registers for it. Rows whose columns lie
//! side by side are read in place, but narrow tiles read copies where these serve many columns. Where much of A
//! is 0, row by row instead, by what is not 0. What takes as long as it takes to pass a matrix, a few rows or a
//! step by them, passes it as it lies. The way back and the step of up to 16 rows pass many weights once, and so
//! do a step and the next few rows.

pub mod ahead;
mod chain;
mod chunk;
mod job;
mod lit;
mod nonzero;
mod pack;
mod packed;
mod panel;
mod list;
mod once;
mod settle;
mod share;
mod team;
mod thin;
pub(super) mod tile;
mod way;

pub(super) use list::{List, places};
pub use lit::product_lit;
pub use packed::Packed;
pub use share::{Cuts, Task, Window, share_each, share_windows};
pub use team::{Alone, Crew, MAX_WORKERS, Scratch, Sole, Team, unlocked};

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use self::chunk::work;
use self::job::{Job, Part};
use self::tile::Output;
use super::simd::simd_kernel;
use super::{Isa, Real};
use crate::matrix::{MatMut, MatRef};

/// The length of a chain of fused multiply-adds.
pub const BLOCK: usize = 256;

/// C = A B: A (m, k), B (k, n), both of any strides, C (m, n).
///
/// # Panics
/// Where the shapes do not belong together.
pub fn product<T: Real>(isa: Isa, a: MatRef<'_, T>, b: MatRef<'_, T>, c: &mut MatMut<'_, T>) {
    let scratch = Scratch::alone();
    Team { isa, crew: &Alone, scratch: &scratch }.product(a, b, c, &|_, _, _| 0);
}

/// C += A B for one block: A (m, k) with k <= [`BLOCK`], B (k, n), both of any strides, C (m, n).
/// The `first` block is added to +0.0 instead of to what C held. C must hold no -0.0, and no sum
/// of blocks is one: else to leave out a product with 0 could change the sign of a zero.
///
/// # Panics
/// Where the shapes do not belong together.
pub fn accumulate<T: Real>(
    isa: Isa,
    a: MatRef<'_, T>,
    b: MatRef<'_, T>,
    c: &mut MatMut<'_, T>,
    first: bool,
) {
    let scratch = Scratch::alone();
    Team { isa, crew: &Alone, scratch: &scratch }.accumulate(a, b, c, first);
}

/// Parameters W (m, n) that a gradient moves (rule 4), all vectors as long as W.
#[derive(Debug)]
pub struct Descent<'a, T> {
    /// The parameters, their rows following each other.
    pub w: &'a mut [T],
    /// The velocity, where there is momentum.
    pub v: Option<&'a mut [T]>,
    /// The sum of the blocks before, where there are any: without -0.0, as for [`accumulate`].
    pub before: Option<&'a [T]>,
    /// The learning rate.
    pub rate: T,
    /// How much of the velocity is kept.
    pub momentum: T,
    /// The weight of l2.
    pub l2: T,
}

impl<T> Descent<'_, T> {
    /// Checks that its vectors have so many elements.
    fn check(&self, length: usize) {
        assert!(self.w.len() == length, "a weight for each element of the product");
        assert!(self.v.as_ref().is_none_or(|v| v.len() == length), "a velocity a parameter");
        assert!(self.before.is_none_or(|g| g.len() == length), "a gradient a parameter");
    }
}

impl<T: Real> Team<'_, T> {
    /// C = A B, then `finish` for each piece of C, a part of a row or whole rows, while it is in the
    /// cache: it is told the piece, its row and its first column. Returns the sum of what `finish`
    /// returns.
    ///
    /// # Panics
    /// Where the shapes do not belong together.
    pub fn product(
        &self,
        a: MatRef<'_, T>,
        b: MatRef<'_, T>,
        c: &mut MatMut<'_, T>,
        finish: &(dyn Fn(&mut [T], usize, usize) -> u64 + Sync),
    ) -> u64 {
        self.product_with(a, b, None, c, finish)
    }

    /// The same where B may be packed already.
    ///
    /// # Panics
    /// Where the shapes do not belong together, or what is packed is of another shape or for another
    /// instruction set, or A's columns do not lie side by side. That it is a copy of this B is the
    /// caller's word: elements are not compared.
    pub fn product_with(
        &self,
        a: MatRef<'_, T>,
        b: MatRef<'_, T>,
        packed: Option<&Packed<T>>,
        c: &mut MatMut<'_, T>,
        finish: &(dyn Fn(&mut [T], usize, usize) -> u64 + Sync),
    ) -> u64 {
        check_shapes(a, b, (c.rows(), c.columns()));
        let stride = c.row_stride();
        let data = c.data().as_mut_ptr();
        assert!(packed.is_none_or(|packed| packed.is_for(self.isa, b)), "B is packed otherwise");
        // SAFETY: C is borrowed for the call, of the product's shape, a crew takes each part once, and only
        // `finish` is handed pieces of C, when its part is done.
        let job = unsafe { Job::new((a, b), packed, (Output::Set(data), stride)) };
        assert!(packed.is_none() || job.rows_in_place(), "A lies otherwise");
        self.set_and_finish(&job, finish)
    }

    /// C += A B for one block, as the function [`accumulate`]; so for what C holds.
    ///
    /// # Panics
    /// Where the shapes do not belong together.
    pub fn accumulate(
        &self,
        a: MatRef<'_, T>,
        b: MatRef<'_, T>,
        c: &mut MatMut<'_, T>,
        first: bool,
    ) {
        check_shapes(a, b, (c.rows(), c.columns()));
        assert!(a.columns() <= BLOCK, "one block");
        let stride = c.row_stride();
        let data = c.data().as_mut_ptr();
        let output = if first { Output::Set(data) } else { Output::Add(data) };
        // SAFETY: C is borrowed for the call, of the product's shape, and a crew takes each part once.
        self.run(&unsafe { Job::new((a, b), None, (output, stride)) }, &|_| {});
    }

    /// Moves W against its gradient A B, one block that is added to the blocks before. Returns
    /// whether every new parameter is finite.
    ///
    /// # Panics
    /// Where the shapes do not belong together.
    pub fn descend(
        &self,
        a: MatRef<'_, T>,
        b: MatRef<'_, T>,
        descent: &mut Descent<'_, T>,
    ) -> bool {
        let shape = (a.rows(), b.columns());
        check_shapes(a, b, shape);
        assert!(a.columns() <= BLOCK, "one block of gradients");
        descent.check(shape.0 * shape.1);
        let Descent { rate, momentum, l2, .. } = *descent;
        let output = Output::Step {
            w: descent.w.as_mut_ptr(),
            v: descent.v.as_mut().map_or(std::ptr::null_mut(), |v| v.as_mut_ptr()),
            before: descent.before.map_or(std::ptr::null(), <[T]>::as_ptr),
            hyper: [rate, momentum, l2],
        };
        // SAFETY: the vectors are borrowed for the call, all of the product's shape, and a crew takes each
        // part once.
        self.run(&unsafe { Job::new((a, b), None, (output, shape.1)) }, &|_| {})
    }

    /// A job that sets C, and `finish` for each piece of that. Returns the sum of what `finish` returns.
    fn set_and_finish(
        &self,
        job: &Job<'_, T>,
        finish: &(dyn Fn(&mut [T], usize, usize) -> u64 + Sync),
    ) -> u64 {
        let (count, stride) = (AtomicU64::new(0), job.stride());
        self.run(job, &|part| {
            let mut sum = 0;
            // Rows that follow each other are one piece.
            let rows = if part.n == stride { part.m } else { 1 };
            for i in (part.i..part.i + part.m).step_by(rows) {
                // SAFETY: these rows and the part's columns are within C, nothing else lies between
                // them, no one else has this part, and nobody else uses C, by the word of who made the job.
                let piece = unsafe {
                    let first = job.pointer().add(i * stride + part.j);
                    std::slice::from_raw_parts_mut(first, rows * part.n)
                };
                sum += finish(piece, i, part.j);
            }
            count.fetch_add(sum, Ordering::Relaxed);
        });
        count.into_inner()
    }

    /// Shares the chunks of a product, which do not overlap; `after` is called behind each. Returns
    /// whether all moved parameters are finite.
    fn run(&self, job: &Job<'_, T>, after: &(dyn Fn(Part) + Sync)) -> bool {
        let (m, n) = (job.a().rows(), job.b().columns());
        if m == 0 || n == 0 {
            return true;
        }
        let sole = Sole(self.crew.caller());
        let crew = if job.pays() { self.crew } else { &sole };
        let (rows, columns) = job.cuts(crew.workers(), copies::<T>(self.isa));
        let across = columns.pieces();
        let finite = AtomicBool::new(true);
        let (chunks, moves) = (rows.pieces() * across, matches!(job.output(), Output::Step { .. }));
        let order = from_the_end(crew, chunks);
        crew.share(chunks, &|worker, chunk| {
            let chunk = if moves { order(chunk) } else { chunk };
            let ((i, m), (j, n)) = (rows.piece(chunk / across), columns.piece(chunk % across));
            let part = Part { i, m, j, n };
            let mut scratch = self.scratch.of(worker);
            if !work(self.isa, job, part, &mut scratch) {
                finite.store(false, Ordering::Relaxed);
            }
            after(part);
        });
        finite.into_inner()
    }
}

simd_kernel! {
    /// Whether A's rows are copied for many columns.
    fn copies<T, S>() -> bool {
        pack::copies_rows::<S>(BLOCK)
    }
}

/// The order in which parts of parameters are moved: from the last to the first where one worker takes them all.
/// The way forward has left the last ones near, and begins with the first.
fn from_the_end(crew: &dyn Crew, parts: usize) -> impl Fn(usize) -> usize {
    let alone = crew.workers() == 1;
    move |part| if alone { parts - 1 - part } else { part }
}

fn check_shapes<T: Copy>(a: MatRef<'_, T>, b: MatRef<'_, T>, c: (usize, usize)) {
    assert!(
        a.rows() == c.0 && b.columns() == c.1 && a.columns() == b.rows(),
        "shapes ({}, {}) ({}, {}) and {c:?} do not belong together",
        a.rows(),
        a.columns(),
        b.rows(),
        b.columns(),
    );
}

#[cfg(test)]
#[path = "gemm_tests.rs"]
mod tests;
