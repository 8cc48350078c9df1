//! Products of matrices in canonical order (rule 1 of `docs/exactness.md`).
//!
//! The index of summation is cut into blocks of [`BLOCK`]. Within a block every element of the
//! product is one chain of fused multiply-adds; the blocks are added in order. Lanes, tiles and
//! threads run over the elements of the product, never over the summation, so each chain is as in
//! the scalar loop.
//!
//! C is cut into chunks, which workers take one after the other. Within a chunk: block by block
//! along the summation; panels of B as wide as two registers, packed, so that they stay in the
//! first cache; tiles of A's rows, in place where their columns lie side by side.

mod job;
mod lit;
mod pack;
mod packed;
mod stage;
mod team;
mod thin;
pub(super) mod tile;

pub use lit::product_lit;
pub use packed::Packed;
pub(super) use stage::PLACES;
pub use team::{Alone, Crew, MAX_WORKERS, Scratch, Sole, Team, unlocked};

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use self::job::{CHUNK_ROWS, Job, Part};
use self::pack::{Ahead, height, pack_panels, pack_rows, panels_at};
use self::tile::{Output, Place, fetch, form, settle};
use super::simd::{Simd, simd_kernel};
use super::{Isa, Real};
use crate::matrix::{MatMut, MatRef};

/// The length of a chain of fused multiply-adds.
pub const BLOCK: usize = 256;

/// How many rows of C there are at most where neither operand is packed.
const DIRECT_ROWS: usize = 4;

/// How many elements of B stay in the first cache beside the rest.
const GROUP: usize = 8 * BLOCK;

/// At most so many columns of C are no reason to pack A.
const FEW_COLUMNS: usize = 32;

/// How many elements a worker's scratch has: A's rows of a chunk, and a panel of B.
const SCRATCH: usize = (CHUNK_ROWS + 16) * BLOCK + BLOCK * 32;

/// C = A B: A (m, k), B (k, n), both of any strides, C (m, n).
///
/// # Panics
/// Where the shapes do not belong together.
pub fn product<T: Real>(isa: Isa, a: MatRef<'_, T>, b: MatRef<'_, T>, c: &mut MatMut<'_, T>) {
    let scratch = Scratch::alone();
    Team { isa, crew: &Alone, scratch: &scratch }.product(a, b, c, &|_, _, _| 0);
}

/// C += A B for one block: A (m, k) with k <= [`BLOCK`], B (k, n), both of any strides, C (m, n).
/// The `first` block is added to +0.0 instead of to what C held.
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
    /// The sum of the blocks before, where there are any.
    pub before: Option<&'a [T]>,
    /// The learning rate.
    pub rate: T,
    /// How much of the velocity is kept.
    pub momentum: T,
    /// The weight of l2.
    pub l2: T,
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
    /// Where the shapes do not belong together, or what is packed is another matrix, or A's columns
    /// do not lie side by side.
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
        let job = Job { a, b, packed, output: Output::Set(data), stride };
        let fits = |packed: &Packed<T>| packed.is_for(self.isa, b) && job.rows_in_place();
        assert!(packed.is_none_or(fits), "B is packed otherwise");
        let count = AtomicU64::new(0);
        self.run(&job, &|part| {
            let mut sum = 0;
            // Rows that follow each other are one piece.
            let rows = if part.n == stride { part.m } else { 1 };
            for i in (part.i..part.i + part.m).step_by(rows) {
                // SAFETY: these rows and the part's columns are within C, nothing else lies between
                // them, and no one else has this part.
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

    /// C += A B for one block, as the function [`accumulate`].
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
        self.run(&Job { a, b, packed: None, output, stride }, &|_| {});
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
        let length = shape.0 * shape.1;
        assert!(a.columns() <= BLOCK && descent.w.len() == length, "one block of gradients");
        assert!(descent.v.as_ref().is_none_or(|v| v.len() == length), "a velocity a parameter");
        assert!(descent.before.is_none_or(|g| g.len() == length), "a gradient a parameter");
        let Descent { rate, momentum, l2, .. } = *descent;
        let output = Output::Step {
            w: descent.w.as_mut_ptr(),
            v: descent.v.as_mut().map_or(std::ptr::null_mut(), |v| v.as_mut_ptr()),
            before: descent.before.map_or(std::ptr::null(), <[T]>::as_ptr),
            hyper: [rate, momentum, l2],
        };
        self.run(&Job { a, b, packed: None, output, stride: shape.1 }, &|_| {})
    }

    /// Shares the chunks of a product; `after` is called behind each. Returns whether all moved
    /// parameters are finite.
    fn run(&self, job: &Job<'_, T>, after: &(dyn Fn(Part) + Sync)) -> bool {
        let (m, n) = (job.a.rows(), job.b.columns());
        if m == 0 || n == 0 {
            return true;
        }
        let sole = Sole(self.crew.caller());
        let crew = if job.pays() { self.crew } else { &sole };
        let (rows, columns) = job.chunk_size(crew.workers());
        let (down, across) = (m.div_ceil(rows), n.div_ceil(columns));
        let finite = AtomicBool::new(true);
        crew.share(down * across, &|worker, chunk| {
            let (i, j) = (chunk / across * rows, chunk % across * columns);
            let part = Part { i, m: rows.min(m - i), j, n: columns.min(n - j) };
            let mut scratch = self.scratch.of(worker);
            if !work(self.isa, job, part, &mut scratch) {
                finite.store(false, Ordering::Relaxed);
            }
            after(part);
        });
        finite.into_inner()
    }
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

simd_kernel! {
    /// One chunk. Returns whether its moved parameters are finite.
    fn work<T, S>(job: &Job<'_, T>, part: Part, scratch: &mut [T]) -> bool {
        // SAFETY: `simd_kernel` has compiled this for S; the job's shapes are checked.
        unsafe { blocks::<S>(job, part, scratch) }
    }
}

/// Block by block along the summation, panel by panel.
///
/// # Safety
/// As for [`Simd`]; the part lies within C, and no one else uses it meanwhile.
#[inline(always)]
unsafe fn blocks<S: Simd>(job: &Job<'_, S::T>, part: Part, scratch: &mut [S::T]) -> bool {
    assert!(scratch.len() >= SCRATCH);
    let (panel_space, rows_space) = scratch.split_at_mut(BLOCK * 32);
    let (a, b) = (job.a.rows_from(part.i, part.m), job.b.columns_from(part.j, part.n));
    let form = if job.packed.is_some() {
        form::ROWS
    } else if part.m <= DIRECT_ROWS && (b.column_stride() == 1 || part.n == 1) {
        form::DIRECT
    } else if job.rows_in_place() {
        form::ROWS
    } else if a.row_stride() == 1 && part.n <= FEW_COLUMNS {
        form::COLUMNS // A would be packed for one panel, or two
    } else {
        form::PACKED
    };
    assert!(form != form::PACKED || part.m <= CHUNK_ROWS);
    if let (form::DIRECT, 1, Output::Set(c)) = (form, part.m, job.output)
        && a.columns() > BLOCK
    {
        // SAFETY: the caller's word; the row is within C.
        unsafe { thin::lone_row::<S>(a, b, c.add(part.i * job.stride + part.j)) };
        return true;
    }
    // SAFETY: the caller's word; so in the whole body.
    unsafe {
        let mut check = S::splat(S::T::ZERO);
        let far = job.packed.is_none() && form != form::DIRECT && job.is_far();
        let (mut first, all) = (0, b);
        loop {
            let k = BLOCK.min(a.columns() - first);
            let (a, b) = (a.columns_from(first, k), b.rows_from(first, k));
            let output = match job.output {
                Output::Set(c) if first > 0 => Output::Add(c),
                output => output,
            };
            let mut place = Place {
                a: a.data().as_ptr(),
                a_strides: (a.row_stride(), a.column_stride()),
                b: b.data().as_ptr(),
                b_stride: b.row_stride(),
                c: part.i * job.stride + part.j,
                c_stride: job.stride,
                columns: part.n,
                k,
                list: std::ptr::null(),
            };
            if form == form::PACKED {
                pack_rows::<S>(a, rows_space.as_mut_ptr());
                place.a = rows_space.as_ptr();
            }
            let panel = 2 * S::LANES * k.max(1);
            let panels = if form == form::PACKED { (GROUP / panel).max(1) } else { 1 };
            let mut j = 0;
            while j < part.n {
                let columns = (part.n - j).min(panels * 2 * S::LANES);
                let b = b.columns_from(j, columns);
                if let Some(packed) = job.packed {
                    place.b = packed.panels(first, k, part.j + j).as_ptr();
                } else if form == form::DIRECT {
                    place.b = b.data().as_ptr();
                } else {
                    pack_panels::<S>(b, panel_space.as_mut_ptr());
                    place.b = panel_space.as_ptr();
                }
                place.columns = columns;
                j += columns;
                let next = if far { panels_at(all, first, j, columns) } else { None };
                let mut ahead = Ahead::new(next, part.m / S::ROWS);
                group::<S>(form, place, part.m, &output, &mut check, &mut ahead);
                place.c += columns;
            }
            first += BLOCK;
            if first >= job.a.columns() {
                break;
            }
        }
        is_zero::<S>(check)
    }
}

/// Some panels of B, packed one behind the other, and all rows of A. Where there are several panels
/// a tile of rows meets all of them before the next, so that C is passed row by row.
///
/// # Safety
/// As for [`panel`].
#[inline(always)]
unsafe fn group<S: Simd>(
    form: u8,
    mut place: Place<S::T>,
    m: usize,
    output: &Output<S::T>,
    check: &mut S::V,
    ahead: &mut Ahead<S::T>,
) {
    let (columns, width) = (place.columns, 2 * S::LANES);
    let several = columns > width;
    let mut i = 0;
    while i < m {
        let rows = if several { height::<S>(m - i) } else { m };
        let mut at = place;
        for j in (0..columns).step_by(width) {
            at.columns = (columns - j).min(width);
            // SAFETY: the caller's word.
            unsafe {
                if at.columns > S::LANES {
                    tiles_of::<S, 2>(form, at, rows, output, check, ahead);
                } else {
                    tiles_of::<S, 1>(form, at, rows, output, check, ahead);
                }
            }
            at.b = at.b.wrapping_add(width * place.k);
            at.c += width;
        }
        place.a = place.a.wrapping_add(S::ROWS * place.k); // several: A is packed
        place.c += rows * place.c_stride;
        i += rows;
    }
}

/// Where a tile's sums stand, a cache line each register.
#[repr(align(64))]
struct Sums<T>([T; 8 * 2 * 16]);

/// All tiles of a panel of `V` registers' columns, by the form of the operands.
///
/// # Safety
/// As for [`panel`].
#[inline(always)]
unsafe fn tiles_of<S: Simd, const V: usize>(
    form: u8,
    place: Place<S::T>,
    m: usize,
    output: &Output<S::T>,
    check: &mut S::V,
    ahead: &mut Ahead<S::T>,
) {
    // SAFETY: the caller's word.
    unsafe {
        match form {
            form::ROWS => panel::<S, V, { form::ROWS }>(place, m, output, check, ahead),
            form::PACKED => panel::<S, V, { form::PACKED }>(place, m, output, check, ahead),
            form::COLUMNS => panel::<S, V, { form::COLUMNS }>(place, m, output, check, ahead),
            _ => panel::<S, V, { form::DIRECT }>(place, m, output, check, ahead),
        }
    }
}

/// All tiles of a panel of `V` registers' columns, from top to bottom.
///
/// # Safety
/// As for [`tile`].
#[inline(always)]
unsafe fn panel<S: Simd, const V: usize, const FORM: u8>(
    mut place: Place<S::T>,
    m: usize,
    output: &Output<S::T>,
    check: &mut S::V,
    ahead: &mut Ahead<S::T>,
) {
    let mut sums = Sums([S::T::ZERO; 8 * 2 * 16]);
    let to = sums.0.as_mut_ptr();
    let mut i = 0;
    while i < m {
        ahead.fetch();
        let rows = height::<S>(m - i);
        // SAFETY: the caller's word; eight rows of two registers of at most sixteen
        // elements fit into the space.
        unsafe {
            fetch::<S>(&place, output, rows);
            let settled = match rows {
                1 => S::tile::<1, V, FORM>(&place, output, to, check),
                2 => S::tile::<2, V, FORM>(&place, output, to, check),
                3 => S::tile::<3, V, FORM>(&place, output, to, check),
                4 => S::tile::<4, V, FORM>(&place, output, to, check),
                5 if S::ROWS >= 5 && FORM != form::DIRECT => {
                    S::tile::<5, V, FORM>(&place, output, to, check)
                }
                6 if S::ROWS >= 6 && FORM != form::DIRECT => {
                    S::tile::<6, V, FORM>(&place, output, to, check)
                }
                7 if S::ROWS >= 7 && FORM != form::DIRECT => {
                    S::tile::<7, V, FORM>(&place, output, to, check)
                }
                _ if S::ROWS >= 8 && FORM != form::DIRECT => {
                    S::tile::<8, V, FORM>(&place, output, to, check)
                }
                _ => unreachable!("a tile has at most S::ROWS rows"),
            };
            if !settled {
                settle::<S>(&place, output, (rows, V), to, check);
            }
        }
        let skip = if FORM == form::PACKED { S::ROWS * place.k } else { rows * place.a_strides.0 };
        place.a = place.a.wrapping_add(skip);
        place.c += rows * place.c_stride;
        i += rows;
    }
}

/// Whether every lane is 0.
///
/// # Safety
/// As for [`Simd`].
#[inline(always)]
unsafe fn is_zero<S: Simd>(v: S::V) -> bool {
    let mut lanes = [S::T::ZERO; 16];
    // SAFETY: no register has more lanes.
    unsafe { S::store(lanes.as_mut_ptr(), v) };
    lanes.iter().all(|&lane| lane == S::T::ZERO)
}

#[cfg(test)]
#[path = "gemm_tests.rs"]
mod tests;
