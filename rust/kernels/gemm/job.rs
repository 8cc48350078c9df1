//! A product as workers share it: chunk by chunk.

use super::BLOCK;
use super::packed::Packed;
use super::thin::ACROSS;
use super::tile::Output;
use crate::kernels::Real;
use crate::matrix::MatRef;

/// How many columns of C a chunk of many rows has at most where A is used in place: fewer, and more, where the
/// chunks are so many that no worker waits long for the last. More read A less often.
const CHUNK_COLUMNS: (usize, usize) = (128, 256);

/// Of few rows: so many bytes of sums stay in the first cache.
const LONG_BYTES: usize = 16 << 10;

/// The columns of the widest tile: a chunk of fewer would leave registers empty.
const WIDEST: usize = 64;

// What is packed once is met from a chunk's first column on: a panel of any instruction set, of at most
// 32 columns, begins there.
const _: () = {
    let (fewer, more) = CHUNK_COLUMNS;
    let long = LONG_BYTES / size_of::<f64>();
    assert!((fewer | more | WIDEST | long).is_multiple_of(32));
};

/// How many rows of C a chunk has at most.
pub(super) const CHUNK_ROWS: usize = 256;

/// How many multiply-adds a product has at least where workers share it.
const SHARED: usize = 1 << 16;

/// A product and what becomes of it.
pub(super) struct Job<'a, T> {
    a: MatRef<'a, T>,
    b: MatRef<'a, T>,
    packed: Option<&'a Packed<T>>,
    output: Output<T>,
    stride: usize,
}

// SAFETY: [`Job::new`] asks that workers write to parts that do not overlap, and no one else to any.
unsafe impl<T: Real> Sync for Job<'_, T> {}

impl<'a, T: Real> Job<'a, T> {
    /// A B, of shapes that belong together; B as panels, where they are made already; and C, its rows
    /// `stride` apart.
    ///
    /// # Safety
    /// As long as the job is worked on, the vectors of `output` hold C, and no one else uses them; of
    /// parts that are worked on at the same time none overlap. What is packed is for B's shape and the
    /// instruction set.
    pub(super) unsafe fn new(
        (a, b): (MatRef<'a, T>, MatRef<'a, T>),
        packed: Option<&'a Packed<T>>,
        (output, stride): (Output<T>, usize),
    ) -> Self {
        Self { a, b, packed, output, stride }
    }

    pub(super) fn a(&self) -> MatRef<'a, T> {
        self.a
    }

    pub(super) fn b(&self) -> MatRef<'a, T> {
        self.b
    }

    /// B as panels, where they are made already.
    pub(super) fn packed(&self) -> Option<&'a Packed<T>> {
        self.packed
    }

    pub(super) fn output(&self) -> Output<T> {
        self.output
    }

    pub(super) fn stride(&self) -> usize {
        self.stride
    }

    /// Where C begins.
    pub(super) fn pointer(&self) -> *mut T {
        match self.output {
            Output::Set(c) | Output::Add(c) => c,
            Output::Step { w, .. } => w,
        }
    }

    /// Whether the rows of A need no packing.
    pub(super) fn rows_in_place(&self) -> bool {
        self.a.column_stride() == 1 || self.a.columns() <= 1
    }

    /// Whether there is enough to do to call other workers.
    pub(super) fn pays(&self) -> bool {
        self.a.rows() * self.a.columns() * self.b.columns() >= SHARED
    }

    /// How many bytes of B, and of C in a chunk, are met before an element of B is met again.
    pub(super) fn bytes(&self) -> usize {
        let rows = self.b.rows() + self.a.rows().min(BLOCK);
        rows * self.b.columns() * size_of::<T>()
    }

    /// How many rows and columns a chunk has.
    pub(super) fn chunk_size(&self, workers: usize) -> (usize, usize) {
        let (m, k, n) = (self.a.rows(), self.a.columns(), self.b.columns());
        if m == 1 || m <= ACROSS && self.b.row_stride() == 1 {
            // They pass B as it lies, the longer its rows the better.
            let columns = n.div_ceil(workers).next_multiple_of(2 * WIDEST);
            return (m, columns.min(LONG_BYTES / size_of::<T>()));
        }
        // A step by one row, whose A counts as in place, passes the parameters: whole rows of them, where there are
        // enough to share.
        let moves = k <= 1 && matches!(self.output, Output::Step { .. }) && m >= 16 * workers;
        if self.rows_in_place() && !moves {
            let (fewer, more) = CHUNK_COLUMNS;
            let columns = match workers {
                _ if n.div_ceil(more) >= 3 * workers => more,
                1 => fewer,
                _ => n.div_ceil(2 * workers).next_multiple_of(WIDEST).min(fewer),
            };
            let across = n.div_ceil(columns);
            let down = if workers == 1 { 1 } else { (2 * workers).div_ceil(across) };
            let down = down.min(m.div_ceil(32)).max(m.div_ceil(CHUNK_ROWS));
            (m.div_ceil(down).next_multiple_of(8), columns.min(n))
        } else {
            let chunks = m.div_ceil(CHUNK_ROWS).next_multiple_of(workers);
            (m.div_ceil(chunks).next_multiple_of(8).min(CHUNK_ROWS), n)
        }
    }
}

/// Rows and columns of C.
#[derive(Clone, Copy)]
pub(super) struct Part {
    pub(super) i: usize,
    pub(super) m: usize,
    pub(super) j: usize,
    pub(super) n: usize,
}
