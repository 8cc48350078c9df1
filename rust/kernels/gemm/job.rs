//! A product as workers share it: chunk by chunk.

use super::BLOCK;
use super::packed::Packed;
use super::thin::ACROSS;
use super::tile::Output;
use crate::kernels::Real;
use crate::matrix::MatRef;

/// How many columns of C a chunk of many rows has at most where A's rows are read in place: fewer, and more, where the
/// chunks are so many that no worker waits long for the last. More read A less often.
const CHUNK_COLUMNS: (usize, usize) = (128, 256);

/// Of few rows: so many bytes of sums stay in the first cache.
const LONG_BYTES: usize = 16 << 10;

/// The columns of the widest tile: a chunk of fewer would leave registers empty.
const WIDEST: usize = 64;

/// Chunks that workers share begin at multiples of so many columns: half as many as a tile has are no loss where
/// workers then have as much to do as each other.
const HALF: usize = WIDEST / 2;

const _: () = {
    let (fewer, more) = CHUNK_COLUMNS;
    let long = LONG_BYTES / size_of::<f64>();
    assert!(
        (fewer | more | long).is_multiple_of(WIDEST),
        "no chunk has more columns, by whole units"
    );
    // What is packed once is met from a chunk's first column on: a panel of any instruction set, of at most
    // 32 columns, begins there.
    assert!(HALF.is_multiple_of(32));
};

/// At most so many columns of C are few: A is not packed for them.
pub(super) const FEW_COLUMNS: usize = 32;

/// A chunk of so many rows and columns at least is worth a copy of A's rows that could be read in place.
const COPIED: (usize, usize) = (96, 192);

/// About so many rows of a tile's columns are enough for a part of its own.
const LOW: usize = 4;

/// How many rows of C a chunk has at most.
pub(super) const CHUNK_ROWS: usize = 256;

/// How many multiply-adds a product has at least where workers share it.
pub(super) const SHARED: usize = 1 << 16;

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

    /// How the rows and columns of C are cut into chunks. Where `copies`, A's rows may be copied for many columns, and
    /// then once for all of them.
    pub(super) fn cuts(&self, workers: usize, copies: bool) -> (Cut, Cut) {
        let (m, k, n) = (self.a.rows(), self.a.columns(), self.b.columns());
        if m == 1 || m <= ACROSS && self.b.row_stride() == 1 {
            // They pass B as it lies, the longer its rows the better.
            let columns = n.div_ceil(workers).next_multiple_of(2 * WIDEST);
            let most = columns.min(LONG_BYTES / size_of::<T>());
            return (Cut::whole(m), Cut::new(n, evenly(n.div_ceil(most), workers), WIDEST));
        }
        // A step by one row, whose A counts as in place, passes the parameters: whole rows of them, where there are
        // enough to share.
        let moves = k <= 1 && matches!(self.output, Output::Step { .. }) && m >= 16 * workers;
        if self.rows_in_place() && n <= WIDEST && workers > 1 && !moves {
            // It is over so soon, and B met by so few rows of a part, that each worker had better take one part, of
            // enough rows for a tile.
            let most = m.div_ceil(LOW);
            let down = m.div_ceil(CHUNK_ROWS).next_multiple_of(workers).min(most);
            let unit = if m < 8 * down { 1 } else { 8 };
            return (Cut::new(m, down, unit), Cut::whole(n));
        }
        let row_chunks = m.div_ceil(CHUNK_ROWS).next_multiple_of(workers);
        let whole_rows = copies && self.packed.is_none() && is_copied(m / row_chunks, n);
        if self.rows_in_place() && !moves && !whole_rows {
            let (fewer, more) = CHUNK_COLUMNS;
            let columns = match workers {
                _ if n.div_ceil(more) >= 3 * workers => more,
                1 => fewer,
                _ => n.div_ceil(2 * workers).next_multiple_of(WIDEST).min(fewer),
            };
            let across = n.div_ceil(columns);
            let down = if workers == 1 { 1 } else { (2 * workers).div_ceil(across) };
            let down = down.min(m.div_ceil(32)).max(m.div_ceil(CHUNK_ROWS));
            let across = if down == 1 { evenly(across, workers) } else { across };
            let unit = if workers == 1 { WIDEST } else { HALF };
            (Cut::new(m, down, 8), Cut::new(n, across, unit))
        } else {
            (Cut::new(m, row_chunks, 8), Cut::whole(n))
        }
    }
}

/// Whether a chunk of so many rows and columns is worth a copy of A's rows, where such are copied.
pub(super) fn is_copied(rows: usize, columns: usize) -> bool {
    rows >= COPIED.0 && columns >= COPIED.1
}

/// So many chunks, or some more, so that no worker waits for the last.
fn evenly(chunks: usize, workers: usize) -> usize {
    if chunks > workers { chunks.next_multiple_of(workers) } else { chunks }
}

/// Rows or columns of C, cut into pieces that are as long as each other but for one unit.
#[derive(Clone, Copy)]
pub(super) struct Cut {
    length: usize,
    unit: usize,
    pieces: usize,
}

impl Cut {
    /// At most so many pieces, each some whole units; the last ends where the length does.
    pub(super) fn new(length: usize, pieces: usize, unit: usize) -> Self {
        Self { length, unit, pieces: pieces.min(length.div_ceil(unit)) }
    }

    /// One piece.
    pub(super) fn whole(length: usize) -> Self {
        Self::new(length, 1, length.max(1))
    }

    /// How many pieces there are.
    pub(super) fn pieces(&self) -> usize {
        self.pieces
    }

    /// Where a piece begins, and how long it is.
    pub(super) fn piece(&self, piece: usize) -> (usize, usize) {
        let (first, end) = (self.edge(piece), self.edge(piece + 1));
        (first, end - first)
    }

    fn edge(&self, piece: usize) -> usize {
        let units = self.length.div_ceil(self.unit);
        (piece * units / self.pieces * self.unit).min(self.length)
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

#[cfg(test)]
mod tests {
    use super::{CHUNK_ROWS, Cut, Job, LONG_BYTES, Output};
    use crate::matrix::MatRef;

    #[test]
    fn pieces_are_as_long_as_each_other() {
        for (length, pieces, unit, expected) in [
            (2500, 10, 32, &[224, 256, 256, 256, 256, 256, 256, 256, 256, 228][..]),
            (784, 4, 8, &[192, 200, 192, 200]),
            (1, 4, 8, &[1]),
            (17, 4, 8, &[8, 8, 1]),
            (100, 1, 64, &[100]),
        ] {
            let cut = Cut::new(length, pieces, unit);
            let found: Vec<_> = (0..cut.pieces()).map(|piece| cut.piece(piece)).collect();
            let lengths: Vec<_> = found.iter().map(|piece| piece.1).collect();
            assert_eq!(lengths, expected);
            assert!(found.windows(2).all(|next| next[0].0 + next[0].1 == next[1].0));
            assert_eq!(found[0].0, 0);
        }
        assert_eq!(Cut::whole(7).piece(0), (0, 7));
    }

    /// The rows and the columns of each chunk, where A's rows may be copied or not.
    fn chunks((m, k, n): (usize, usize, usize), workers: usize, copies: bool) -> [Vec<usize>; 2] {
        let (x, y) = (vec![0.0_f32; m * k], vec![0.0_f32; k * n]);
        let ab = (MatRef::new(&x, m, k), MatRef::new(&y, k, n));
        // SAFETY: nothing is worked on.
        let job = unsafe { Job::new(ab, None, (Output::Set(std::ptr::null_mut()), n)) };
        let lengths = |cut: Cut| (0..cut.pieces()).map(|piece| cut.piece(piece).1).collect();
        let (rows, columns) = job.cuts(workers, copies);
        [lengths(rows), lengths(columns)]
    }

    #[test]
    fn each_worker_takes_one_part_of_few_columns() {
        for (shape, workers, rows) in [
            ((10, 784, 30), 2, &[5, 5][..]),
            ((10, 784, 30), 8, &[3, 3, 4]),
            ((9, 784, 30), 2, &[4, 5]),
            ((4, 784, 30), 2, &[4]),
            ((128, 784, 10), 2, &[64, 64]),
            ((128, 784, 64), 2, &[64, 64]),
            ((10, 784, 64), 2, &[5, 5]),
            ((300, 784, 32), 1, &[152, 148]),
            ((600, 784, 10), 2, &[144, 152, 152, 152]),
        ] {
            for copies in [false, true] {
                let expected = [rows.to_vec(), vec![shape.2]];
                assert_eq!(chunks(shape, workers, copies), expected, "{shape:?}");
            }
        }
    }

    #[test]
    fn copied_rows_serve_all_columns() {
        for (shape, workers, rows) in [
            ((128, 784, 192), 1, &[128][..]),
            ((256, 784, 2500), 1, &[256]),
            ((256, 784, 2500), 2, &[128, 128]),
            ((600, 784, 500), 2, &[144, 152, 152, 152]),
            ((600, 784, 500), 1, &[200, 200, 200]),
        ] {
            let found = chunks(shape, workers, true);
            assert_eq!(found, [rows.to_vec(), vec![shape.2]], "{shape:?}");
        }
        // Too few columns, or rows for each, and rows that are not copied.
        for (shape, workers, copies) in [
            ((128, 784, 191), 1, true),
            ((95, 784, 512), 1, true),
            ((128, 784, 512), 2, true),
            ((128, 784, 512), 1, false),
        ] {
            let [_, columns] = chunks(shape, workers, copies);
            assert!(columns.len() > 1, "{shape:?}");
        }
    }

    /// How many columns each chunk has, of a product of so many rows; also looks at what kernels rely on.
    fn widths((m, k, n): (usize, usize, usize), workers: usize, copies: bool) -> Vec<usize> {
        let (x, y) = (vec![0.0_f32; m * k], vec![0.0_f32; k * n]);
        let ab = (MatRef::new(&x, m, k), MatRef::new(&y, k, n));
        // SAFETY: nothing is worked on.
        let job = unsafe { Job::new(ab, None, (Output::Set(std::ptr::null_mut()), n)) };
        let (rows, columns) = job.cuts(workers, copies);
        for piece in 0..rows.pieces() {
            assert!((1..=CHUNK_ROWS).contains(&rows.piece(piece).1));
        }
        let most = match m {
            1 => LONG_BYTES / size_of::<f32>(),
            _ if columns.pieces() == 1 => n,
            _ => 256,
        };
        let pieces = (0..columns.pieces()).map(|piece| columns.piece(piece));
        pieces
            .map(|(first, length)| {
                assert!(first.is_multiple_of(32) && (1..=most).contains(&length), "{m} {n}");
                length
            })
            .collect()
    }

    #[test]
    fn chunks_are_as_kernels_want_them_and_evenly_shared() {
        for m in [1, 2, 9, 40, 256, 257, 1000] {
            for n in [1, 10, 63, 64, 100, 500, 784, 2100, 2500, 10_000] {
                for (workers, copies) in (1..=8).flat_map(|n| [(n, false), (n, true)]) {
                    let found = widths((m, 3, n), workers, copies);
                    assert_eq!(found.iter().sum::<usize>(), n);
                }
            }
        }
        for (m, n) in [(128, 784), (256, 2100), (256, 2500), (1, 10_000)] {
            let found = widths((m, 3, n), 2, false);
            let (upper, lower) = found.split_at(found.len() / 2);
            let most = upper.iter().sum::<usize>().max(lower.iter().sum());
            assert!(50 * most <= 26 * n, "{m} {n}: {found:?}");
        }
    }
}
