//! One chunk of a product: block by block along the summation, panel by panel.

use super::job::{CHUNK_ROWS, FEW_COLUMNS, Job, Part, is_copied};
use super::pack::{Ahead, behind, copies_rows, height, pack_panels, pack_rows, panels_at};
use super::panel::{Shape, group, is_zero, tallest, tiles_on_the_way};
use super::tile::{NextRows, Output, Place, form};
use super::way::{Changed, Share, Way};
use super::{BLOCK, nonzero, thin};
use crate::kernels::Real;
use crate::kernels::simd::{Simd, simd_kernel};
use crate::matrix::MatRef;

/// Rows of B of at most so many bytes: a block of them, 32 KiB, is as good as a copy where it lies.
const SHORT: usize = 128;

/// So many bytes stay in a core's own caches, or come soon enough: tiles need not fetch what is packed next
/// on their way. Narrow tiles pack less at a time, and each has less time for it.
const fn near<S: Simd>() -> usize {
    if S::WIDE_ROWS > 0 { 3 << 19 } else { 5 << 19 }
}

/// How many elements of B stay in the first cache beside the rest.
const GROUP: usize = 8 * BLOCK;

/// How many elements a worker's scratch has: panels of B, sums, and rows of A, filled up to whole
/// tiles.
pub(super) const fn scratch<T>() -> usize {
    nonzero::width::<T>() * (BLOCK + CHUNK_ROWS) + (CHUNK_ROWS + 16) * BLOCK
}

simd_kernel! {
    /// One chunk. Returns whether its moved parameters are finite.
    pub(super) fn work<T, S>(job: &Job<'_, T>, part: Part, scratch: &mut [T]) -> bool {
        // SAFETY: `simd_kernel` has compiled this for S; who made the job answers for C, and that the
        // part lies within it is checked.
        unsafe { blocks::<S>(job, part, scratch) }
    }
}

/// A chunk, and where it packs what.
pub(super) struct Chunk<'a, T> {
    job: &'a Job<'a, T>,
    part: Part,
    pub(super) panels: &'a mut [T],
    pub(super) sums: &'a mut [T],
    pub(super) rows: &'a mut [T],
    /// How many bytes are met before what is packed of B is met again.
    bytes: usize,
}

/// Block by block along the summation.
///
/// # Safety
/// As for [`Simd`]; the part lies within C, and no one else uses it meanwhile.
#[inline(always)]
unsafe fn blocks<S: Simd>(job: &Job<'_, S::T>, part: Part, scratch: &mut [S::T]) -> bool {
    assert!(scratch.len() >= self::scratch::<S::T>() && part.m <= CHUNK_ROWS);
    let a = job.a().rows_from(part.i, part.m);
    let form = form_of::<S>(job, part);
    // SAFETY: the caller's word.
    if let Some(finite) = unsafe { as_it_lies::<S>(job, part, form, scratch) } {
        return finite;
    }
    let (panels, rest) = scratch.split_at_mut(nonzero::width::<S::T>() * BLOCK);
    let (sums, rows) = rest.split_at_mut(nonzero::width::<S::T>() * CHUNK_ROWS);
    let bytes = if job.packed().is_none() && form != form::DIRECT { job.bytes() } else { 0 };
    let mut chunk = Chunk { job, part, panels, sums, rows, bytes };
    // SAFETY: the caller's word; so in the whole body.
    unsafe {
        let mut check = S::splat(S::T::ZERO);
        let mut first = 0;
        loop {
            let a = a.columns_from(first, BLOCK.min(a.columns() - first));
            let output = match job.output() {
                Output::Set(c) if first > 0 => Output::Add(c),
                output => output,
            };
            if matches!(form, form::ROWS | form::PACKED)
                && nonzero::pays::<S>(a, part.n, chunk.is_finite())
            {
                nonzero::leave_out::<S>(&mut chunk, a, first, &output, &mut check);
            } else {
                block::<S>(&mut chunk, (form, a), first, &output, &mut check);
            }
            first += BLOCK;
            if first >= job.a().columns() {
                break;
            }
        }
        is_zero::<S>(check)
    }
}

/// A chunk of few rows, or one that few rows move, where there is a form that passes the larger matrix as it
/// lies. Returns whether its moved parameters are finite; none where it is still to be worked on.
///
/// # Safety
/// As for [`blocks`].
#[inline(always)]
unsafe fn as_it_lies<S: Simd>(
    job: &Job<'_, S::T>,
    part: Part,
    form: u8,
    scratch: &mut [S::T],
) -> Option<bool> {
    let (a, b) = (job.a().rows_from(part.i, part.m), job.b().columns_from(part.j, part.n));
    let (k, c, stride) = (a.columns(), part.i * job.stride() + part.j, job.stride());
    // SAFETY: the caller's word, so what is written lies within C; so in the whole body. How many rows and
    // columns there are, and how B lies, is looked at: what is read directly lies side by side, or is one column.
    unsafe {
        match job.output() {
            Output::Set(to)
                if (form, part.m) == (form::DIRECT, 1)
                    && (k > BLOCK || k > 0 && part.n >= thin::LEAST * S::LANES) =>
            {
                thin::lone_row::<S>(a, b, to.add(c), scratch);
            }
            Output::Set(to)
                if b.row_stride() == 1
                    && (1..=thin::ACROSS).contains(&part.m)
                    && k.min(part.n) >= S::LANES
                    && job.packed().is_none() =>
            {
                thin::across::<S>(a, b, (to.add(c), stride));
            }
            Output::Step { w, v, before, hyper }
                if before.is_null()
                    && (1..=thin::MOVING).contains(&k)
                    && (b.column_stride() == 1 || part.n == 1) =>
            {
                let v = if v.is_null() { v } else { v.add(c) };
                let mut check = S::splat(S::T::ZERO);
                let to = thin::Moved { w: w.add(c), v, stride, hyper };
                thin::descend::<S>(a, b, to, &mut check);
                return Some(is_zero::<S>(check));
            }
            _ => return None,
        }
    }
    Some(true)
}

/// How the operands of a part lie best, where it does not pass the larger one as it lies.
#[inline(always)]
fn form_of<S: Simd>(job: &Job<'_, S::T>, part: Part) -> u8 {
    // Of a lone row the stride may be anything.
    let short = job.b().row_stride().saturating_mul(size_of::<S::T>()) <= SHORT;
    let few = if short { 3 * S::ROWS } else { 2 * Shape::of::<S>(part.n).rows - 1 };
    if job.packed().is_some() {
        form::ROWS
    } else if part.m <= few && (job.b().column_stride() == 1 || part.n == 1) {
        // A copy of B pays where more tiles read it.
        form::DIRECT
    } else if job.rows_in_place()
        && !(copies_rows::<S>(job.a().columns()) && is_copied(part.m, part.n))
    {
        form::ROWS
    } else if job.a().row_stride() == 1 && part.n <= FEW_COLUMNS {
        form::COLUMNS // A would be packed for a few panels
    } else {
        form::PACKED
    }
}

/// One block, A (m, k), panel by panel.
///
/// # Safety
/// As for [`blocks`].
#[inline(always)]
unsafe fn block<S: Simd>(
    chunk: &mut Chunk<'_, S::T>,
    (form, a): (u8, MatRef<'_, S::T>),
    first: usize,
    output: &Output<S::T>,
    check: &mut S::V,
) {
    let part = chunk.part;
    let mut place = chunk.place(a);
    // SAFETY: the caller's word; so in the whole body.
    unsafe {
        if form == form::PACKED {
            place.a_strides.1 = Shape::of::<S>(part.n).rows;
            pack_rows::<S>(a, place.a_strides.1, chunk.rows.as_mut_ptr());
            place.a = chunk.rows.as_ptr();
        }
        let panels = panels_together::<S>(form, place.k);
        let mut j = 0;
        while j < part.n {
            place.columns = columns_together::<S>(panels, part.n - j);
            chunk.place_b::<S>(form, &mut place, (first, j), panels);
            j += place.columns;
            let mut way = chunk.way::<S>((form, &place), (first, j), panels);
            group::<S>(form, place, part.m, output, check, &mut way);
            place.c += place.columns;
        }
    }
}

/// How many panels of so many rows are packed together, where a tile does not span more: of few rows
/// as many as stay in the first cache.
#[inline(always)]
fn panels_together<S: Simd>(form: u8, k: usize) -> usize {
    if form == form::PACKED { (GROUP / (2 * S::LANES * k.max(1))).max(1) } else { 1 }
}

/// How many columns that are, where so many are left.
#[inline(always)]
fn columns_together<S: Simd>(panels: usize, left: usize) -> usize {
    Shape::of::<S>(left).columns.max(left.min(panels * 2 * S::LANES))
}

impl<'a, T: Real> Chunk<'a, T> {
    /// Where a block begins: A's, and in C; B's panels are not there yet.
    #[inline(always)]
    pub(super) fn place(&self, a: MatRef<'_, T>) -> Place<T> {
        Place {
            a: a.data().as_ptr(),
            a_strides: (a.row_stride(), a.column_stride()),
            b: std::ptr::null(),
            b_stride: self.job.b().row_stride(),
            unpacked: std::ptr::null(),
            c: self.part.i * self.job.stride() + self.part.j,
            c_stride: self.job.stride(),
            columns: self.part.n,
            k: a.columns(),
            run: 1,
            list: std::ptr::null(),
            pixels: std::ptr::null(),
            next: NextRows::NONE,
            share: Share::NONE,
            changed: Changed::NONE,
        }
    }

    /// How many columns it has.
    #[inline(always)]
    pub(super) fn columns(&self) -> usize {
        self.part.n
    }

    /// B's rows of a block, and some of the part's columns.
    #[inline(always)]
    pub(super) fn b(&self, first: usize, k: usize, (j, columns): (usize, usize)) -> MatRef<'a, T> {
        self.job.b().rows_from(first, k).columns_from(self.part.j + j, columns)
    }

    /// Panels of B: its rows of a block, and some of the part's columns, packed now if they are not
    /// yet.
    ///
    /// # Panics
    /// Where the scratch has no room for so many.
    ///
    /// # Safety
    /// As for [`Simd`].
    #[inline(always)]
    pub(super) unsafe fn pack_b<S: Simd<T = T>>(
        &mut self,
        first: usize,
        k: usize,
        (j, columns): (usize, usize),
    ) -> *const T {
        if let Some(packed) = self.job.packed() {
            return packed.panels(first, k, self.part.j + j).as_ptr();
        }
        let room = columns.next_multiple_of(S::LANES) * k + behind::<S>(k);
        let to = self.panels[..room].as_mut_ptr();
        // SAFETY: the caller's word; there is the room.
        unsafe { pack_panels::<S>(self.b(first, k, (j, columns)), to) };
        to
    }

    /// Says where a group of tiles reads B, from a row and a column on: where it lies; or from panels,
    /// packed before, by the first tile, or else now.
    ///
    /// # Safety
    /// As for [`Simd`].
    #[inline(always)]
    unsafe fn place_b<S: Simd<T = T>>(
        &mut self,
        form: u8,
        place: &mut Place<T>,
        (first, j): (usize, usize),
        panels: usize,
    ) {
        let b = self.b(first, place.k, (j, place.columns));
        let most = tallest::<S>(form, place);
        let by_first_tile = matches!(form, form::ROWS | form::PACKED)
            && (self.job.packed().is_none() && b.column_stride() == 1 && panels == 1)
            && Shape::of::<S>(place.columns).is_whole::<S>()
            && height(self.part.m, most) == most;
        place.unpacked = if by_first_tile { b.data().as_ptr() } else { std::ptr::null() };
        place.b = if form == form::DIRECT {
            b.data().as_ptr()
        } else if by_first_tile {
            self.panels[..place.columns * place.k].as_mut_ptr()
        } else {
            // SAFETY: the caller's word.
            unsafe { self.pack_b::<S>(first, place.k, (j, place.columns)) }
        };
    }

    /// What is packed behind a group, up to column `j`, where it is worth fetching: the group's tiles do that.
    #[inline(always)]
    fn way<S: Simd<T = T>>(
        &self,
        (form, place): (u8, &Place<T>),
        (first, j): (usize, usize),
        panels: usize,
    ) -> Way<T> {
        let next = if j < self.part.n {
            columns_together::<S>(panels, self.part.n - j)
        } else {
            let k = BLOCK.min(self.job.b().rows().saturating_sub(first + BLOCK));
            columns_together::<S>(panels_together::<S>(form, k), self.part.n)
        };
        self.way_to::<S>((form, place), first, (j, next))
    }

    /// The same up to so many columns from `j` on.
    #[inline(always)]
    pub(super) fn way_to<S: Simd<T = T>>(
        &self,
        (form, place): (u8, &Place<T>),
        first: usize,
        columns: (usize, usize),
    ) -> Way<T> {
        let next = self.packed_next(first, columns, near::<S>());
        next.map_or(Way::NONE, |next| {
            Way::new::<S>(&next, (tiles_on_the_way::<S>(form, place, self.part.m), place.k))
        })
    }

    /// Whether B is packed already.
    #[inline(always)]
    pub(super) fn is_packed(&self) -> bool {
        self.job.packed().is_some()
    }

    /// Whether B is packed already, and known to be finite.
    #[inline(always)]
    pub(super) fn is_finite(&self) -> bool {
        self.job.packed().is_some_and(super::Packed::is_finite)
    }

    /// What is packed next, where so many bytes are not near, to be fetched by so many times: so many columns
    /// from `j` on, or the first ones of the next block.
    #[inline(always)]
    pub(super) fn ahead(
        &self,
        first: usize,
        columns: (usize, usize),
        near: usize,
        times: usize,
    ) -> Ahead<T> {
        Ahead::new(self.packed_next(first, columns, near), times)
    }

    /// What is packed next, where so many bytes are not near: so many columns from `j` on, or the first
    /// ones of the next block.
    #[inline(always)]
    fn packed_next(
        &self,
        first: usize,
        (j, width): (usize, usize),
        near: usize,
    ) -> Option<MatRef<'a, T>> {
        let b = self.job.b().columns_from(self.part.j, self.part.n);
        if self.bytes > near { panels_at(b, first, j, width) } else { None }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tile::Output;
    use super::{Job, Part, form, form_of, simd_kernel};
    use crate::kernels::{Isa, Real};
    use crate::matrix::MatRef;

    simd_kernel! {
        /// How a product reads its operands.
        fn form_on<T, S>(a: MatRef<'_, T>, b: MatRef<'_, T>) -> u8 {
            let (m, n, output) = (a.rows(), b.columns(), Output::Set(std::ptr::null_mut()));
            // SAFETY: nothing is worked on.
            let job = unsafe { Job::new((a, b), None, (output, n)) };
            form_of::<S>(&job, Part { i: 0, m, j: 0, n })
        }
    }

    /// A row by row, column by column, and of any strides: how each reads a B that has three rows, of
    /// which so many rows of A read it in place.
    fn check<T: Real>(isa: Isa, b: MatRef<'_, T>, few: usize) {
        let x = vec![T::ZERO; 2 * 3 * 30];
        for m in 1..=30 {
            let few_columns = if b.columns() <= 32 { form::COLUMNS } else { form::PACKED };
            for (a, many) in [
                (MatRef::new(&x, m, 3), form::ROWS),
                (MatRef::new(&x, 3, m).transposed(), few_columns),
                (MatRef::with_strides(&x, m, 3, 6, 2), form::PACKED),
            ] {
                let lone = a.row_stride() == 1 && a.column_stride() == 1;
                let expected = match many {
                    _ if m <= few => form::DIRECT,
                    _ if lone => form::ROWS,
                    many => many,
                };
                let what = format!("{} ({m}, 3) (3, {}), {many}", isa.name(), b.columns());
                assert_eq!(form_on(isa, a, b), expected, "{what}");
            }
        }
    }

    fn check_widths<T: Real>() {
        let y = vec![T::ZERO; 3 * 500];
        // Of an AVX-512 register; 128 bytes are two.
        let lanes = 64 / size_of::<T>();
        for isa in Isa::available() {
            // Rows of at most so many bytes, or columns enough for a wide tile, or neither.
            let (short, wide, other) = match isa.name() {
                "avx512" => (24, 11, 15),
                "avx2" => (18, 11, 11),
                _ => (12, 7, 7),
            };
            for n in [1, 2 * lanes, 2 * lanes + 1, 3 * lanes, 3 * lanes + 1, 4 * lanes, 500] {
                let few = match n {
                    _ if n <= 2 * lanes => short,
                    _ if n > 3 * lanes => wide,
                    _ => other,
                };
                check(isa, MatRef::new(&y, 3, n), few);
                // Rows of B that lie across are packed for a lone row of A, too, if they are short.
                check(isa, MatRef::new(&y, n, 3).transposed(), if n == 1 { short } else { 0 });
            }
        }
    }

    #[test]
    fn narrow_tiles_read_copies_of_many_rows_for_many_columns() {
        let (x, y) = (vec![0.0_f32; 97 * 16], vec![0.0_f32; 16 * 193]);
        for isa in Isa::available() {
            let lanes = match isa.name() {
                "avx512" => usize::MAX,
                "avx2" => 8,
                _ => 4,
            };
            for (m, n, k) in
                [(96, 192, 8), (96, 192, 7), (95, 193, 16), (97, 191, 16), (96, 192, 3)]
            {
                let (a, b) = (MatRef::new(&x[..m * k], m, k), MatRef::new(&y[..k * n], k, n));
                let copied = m >= 96 && n >= 192 && k >= lanes;
                let expected = if copied { form::PACKED } else { form::ROWS };
                assert_eq!(form_on(isa, a, b), expected, "({m}, {k}) {n}: {}", isa.name());
            }
        }
    }

    #[test]
    fn few_rows_read_b_where_it_lies() {
        check_widths::<f32>();
        check_widths::<f64>();
    }
}
