//! The products judged by the oracle, bit for bit.

use std::cell::Cell;

use super::tile::form;
use super::{Alone, BLOCK, Crew, Descent, Job, Output, Packed, Scratch, Team, accumulate, product};
use crate::kernels::testing::{assert_bits, extreme, mild};
use crate::kernels::{Isa, Real, oracle};
use crate::matrix::{MatMut, MatRef};

thread_local! {
    /// How many tiles packed B on this thread.
    pub(super) static PACKED: Cell<usize> = const { Cell::new(0) };
    /// How often wide tiles went down two panels on this thread, by the form of the operands.
    pub(super) static WIDE: Cell<[usize; 4]> = const { Cell::new([0; 4]) };
    /// Where the pieces of B begin that tiles fetched on their way on this thread.
    pub(super) static FETCHED: Cell<Vec<*const i8>> = const { Cell::new(Vec::new()) };
    /// Which rows of C wide tiles fetched on their way.
    pub(super) static CHANGED: Cell<Vec<*const i8>> = const { Cell::new(Vec::new()) };
    /// How many rows of C tiles fetched before they began.
    pub(super) static ASKED: Cell<usize> = const { Cell::new(0) };
    /// How many elements of B were fetched on this thread while rows left out zeros.
    pub(super) static AHEAD: Cell<usize> = const { Cell::new(0) };
}

/// C = A B on every instruction set, of numbers from `draw`.
fn check<T: Real>(draw: fn(u64, usize) -> Vec<T>, m: usize, n: usize, k: usize) {
    let (a, b) = (draw(1, m * k), draw(2, k * n));
    let (a, b) = (MatRef::new(&a, m, k), MatRef::new(&b, k, n));
    let expected = oracle::product(a, b);
    for isa in Isa::available() {
        let mut c = vec![T::from_f64(7.0); m * n];
        product(isa, a, b, &mut MatMut::new(&mut c, m, n));
        assert_bits(&c, &expected, &format!("{} ({m}, {k}) ({k}, {n})", isa.name()));
    }
}

fn check_all_kinds(m: usize, n: usize, k: usize) {
    check::<f32>(mild, m, n, k);
    check::<f64>(mild, m, n, k);
    check::<f32>(extreme, m, n, k);
    check::<f64>(extreme, m, n, k);
}

#[test]
fn products_of_every_small_shape() {
    for m in 1..=40 {
        for n in 1..=40 {
            check::<f32>(mild, m, n, 2);
            check::<f64>(extreme, m, n, 2);
        }
    }
}

#[test]
fn products_around_each_width_and_block() {
    for k in [0, 1, 2, 255, 256, 257, 600] {
        for (m, n) in [(1, 1), (1, 16), (1, 70), (1, 101), (3, 5), (4, 8), (5, 13), (7, 31)] {
            check_all_kinds(m, n, k);
        }
    }
}

/// The same of B whose rows lie apart, and of A either way.
fn check_packing<T: Real>(draw: fn(u64, usize) -> Vec<T>, (m, n, k): (usize, usize, usize)) {
    let (x, y) = (draw(1, m * k), draw(2, k * (n + 3)));
    let b = MatRef::with_strides(&y, k, n, n + 3, 1);
    for a in [MatRef::new(&x, m, k), MatRef::new(&x, k, m).transposed()] {
        let expected = oracle::product(a, b);
        for isa in Isa::available() {
            let mut c = vec![T::from_f64(7.0); m * n];
            let before = PACKED.get();
            product(isa, a, b, &mut MatMut::new(&mut c, m, n));
            let what = format!("{} ({m}, {k}) ({k}, {n})", isa.name());
            assert_bits(&c, &expected, &what);
            // Tiles that pack have at most 8 rows, wide ones 6; and at most 32 columns, wide ones 64, so 49 to 63
            // may be a wide one that is not whole. A by columns is not packed for so few as 32 of C's,
            // and of its short ones several panels are met together, and packed beforehand.
            let tall = m >= 16 || m >= 12 && n >= 64;
            let whole = (32..=48).contains(&n) || n >= 64;
            let by_rows = a.column_stride() == 1 || k == 1;
            let packs = tall && whole && (by_rows || k >= 255 && n > 32);
            assert!(PACKED.get() > before || !packs, "{what}");
        }
    }
}

#[test]
fn panels_are_packed_by_their_first_tile() {
    let narrow = [(8, 64), (12, 64), (13, 64), (14, 96), (16, 48), (16, 64), (25, 32)];
    for (m, n) in [&narrow[..], &[(17, 97), (24, 65), (49, 128)]].concat() {
        for k in [1, 3, 4, 255, 256, 257] {
            check_packing::<f32>(mild, (m, n, k));
            check_packing::<f64>(mild, (m, n, k));
            check_packing::<f32>(extreme, (m, n, k));
            check_packing::<f64>(extreme, (m, n, k));
        }
    }
}

/// Tiles of every height beside each other, one panel wide or two.
#[test]
fn panels_side_by_side() {
    for m in 1..=25 {
        for n in [24, 25, 31, 33, 48, 49, 63, 80, 81, 112, 113, 129] {
            check_packing::<f32>(extreme, (m, n, 3));
            check_packing::<f64>(extreme, (m, n, 3));
            check_packing::<f32>(mild, (m, n, BLOCK + 1));
        }
    }
}

/// Of more than three registers' columns AVX-512 takes two panels at a time, in each form.
fn check_wide<T: Real>(n: usize) {
    let (x, y) = (mild::<T>(1, 300), mild::<T>(2, 5 * (n + 40)));
    // B's rows lie so far apart that of thirty rows of A none reads it in place.
    let b = MatRef::with_strides(&y, 5, n, n + 40, 1);
    let by_columns = if n <= 32 { form::COLUMNS } else { form::PACKED };
    let cases = [
        (form::ROWS, MatRef::new(&x, 30, 5)),
        (form::PACKED, MatRef::with_strides(&x, 30, 5, 10, 2)),
        (form::DIRECT, MatRef::new(&x, 3, 5)),
        (by_columns, MatRef::new(&x, 5, 30).transposed()),
    ];
    for (form, a) in cases {
        let expected = oracle::product(a, b);
        for isa in Isa::available() {
            let mut c = vec![T::from_f64(7.0); a.rows() * n];
            let before = WIDE.get();
            product(isa, a, b, &mut MatMut::new(&mut c, a.rows(), n));
            let what = format!("{} {n} columns, form {form}", isa.name());
            assert_bits(&c, &expected, &what);
            let is_wide = isa.name() == "avx512" && n > 3 * 64 / size_of::<T>();
            for (of, (before, after)) in before.into_iter().zip(WIDE.get()).enumerate() {
                assert_eq!(after > before, is_wide && of == usize::from(form), "{what}: {of}");
            }
        }
    }
}

#[test]
fn wide_tiles_span_two_panels() {
    (44..=70).for_each(check_wide::<f32>);
    (20..=40).for_each(check_wide::<f64>);
}

/// The same of a matrix that is packed once, whatever comes and however workers share it.
fn check_packed<T: Real>(draw: fn(u64, usize) -> Vec<T>, n: usize, k: usize) {
    let b = draw(2, k * n);
    let b = MatRef::new(&b, k, n);
    for isa in Isa::available() {
        let scratch = Scratch::new();
        scratch.prepare(8).unwrap();
        let alone = Team { isa, crew: &Alone, scratch: &scratch };
        let packed = Packed::new(&alone, b).unwrap();
        for m in [1, 2, 3, 6, 7, 8, 9, 11, 20, 300] {
            let a = draw(1, m * k);
            let a = MatRef::new(&a, m, k);
            let expected = oracle::product(a, b);
            for team in [alone, Team { crew: &Many(1), ..alone }] {
                let mut c = vec![T::from_f64(7.0); m * n];
                let mut to = MatMut::new(&mut c, m, n);
                team.product_with(a, b, Some(&packed), &mut to, &|_, _, _| 0);
                let workers = team.crew.workers();
                let what = format!("{} of {workers} ({m}, {k}) ({k}, {n})", isa.name());
                assert_bits(&c, &expected, &what);
            }
        }
    }
}

#[test]
fn products_of_what_is_packed() {
    for k in [1, 2, 255, 256, 257, 600] {
        // 640 columns are 40 for each of two chunks a worker: not whole panels.
        for n in [1, 5, 8, 16, 17, 31, 33, 49, 64, 127, 300, 640] {
            check_packed::<f32>(mild, n, k);
            check_packed::<f64>(extreme, n, k);
        }
    }
}

#[test]
#[should_panic(expected = "is packed otherwise")]
fn what_is_packed_is_of_the_same_shape() {
    let (scratch, x) = (Scratch::alone(), [1.0_f32; 12]);
    let team = Team { isa: Isa::detect(), crew: &Alone, scratch: &scratch };
    let packed = Packed::new(&team, MatRef::new(&x, 3, 4)).unwrap();
    let (mut c, a, b) = ([0.0; 3], MatRef::new(&x, 1, 4), MatRef::new(&x, 4, 3));
    team.product_with(a, b, Some(&packed), &mut MatMut::new(&mut c, 1, 3), &|_, _, _| 0);
}

#[test]
fn a_lone_row_of_many_blocks() {
    for k in [511, 512, 784, 1024, 1025, 2900] {
        for n in [1, 3, 10, 16, 17, 33, 70, 128, 150] {
            check_all_kinds(1, n, k);
        }
    }
}

/// What is packed next is then fetched ahead, each piece once, all but what a chunk begins with; and a
/// chunk has more columns.
#[test]
fn products_of_matrices_that_are_far_from_the_core() {
    // So many rows have time for all of it; of each panel, and each block, whole pieces.
    let (m, n, k) = (150, 2560, 384);
    let (a, b) = (mild::<f32>(1, m * k), mild::<f32>(2, k * n));
    let lying = [MatRef::new(&a, m, k), MatRef::new(&a, k, m).transposed()];
    let crossing = [MatRef::new(&b, k, n), MatRef::new(&b, n, k).transposed()];
    for (a, b) in lying.into_iter().flat_map(|a| crossing.map(|b| (a, b))) {
        let mut c = vec![7.0; m * n];
        // SAFETY: nothing is worked on.
        let job = unsafe { Job::new((a, b), None, (Output::Set(c.as_mut_ptr()), n)) };
        assert!(job.bytes() > 5 << 19);
        let expected = oracle::product(a, b);
        for isa in Isa::available() {
            FETCHED.set(Vec::new());
            product(isa, a, b, &mut MatMut::new(&mut c, m, n));
            assert_bits(&c, &expected, isa.name());
            // A piece, and the columns that a chunk begins with.
            let width = match isa.name() {
                "avx512" => 64,
                "avx2" => 16,
                _ => 8,
            };
            // Where A is copied one chunk takes whole rows.
            let in_place = a.column_stride() == 1 && isa.name() == "avx512";
            let chunks = if in_place { n / 256 } else { 1 };
            let mut fetched = FETCHED.take();
            let all = k * n / width - BLOCK * chunks;
            assert_eq!(fetched.len(), all, "{}", isa.name());
            fetched.sort_unstable();
            fetched.dedup();
            assert_eq!(fetched.len(), all, "each once: {}", isa.name());
        }
    }
}

/// By all tiles but the first of each panel, which packs; other sets have no wide tiles.
#[test]
fn wide_tiles_fetch_each_row_that_they_change() {
    let (m, k, n, stride) = (22, 300, 128, 141);
    let (a, b) = (mild::<f32>(1, m * k), mild::<f32>(2, k * n));
    for isa in Isa::available() {
        let mut c = vec![0.0; m * stride];
        let to = &mut MatMut::with_row_stride(&mut c, m, n, stride);
        CHANGED.set(Vec::new());
        product(isa, MatRef::new(&a, m, k), MatRef::new(&b, k, n), to);
        // The second block is too short for that.
        let rows = if isa.name() == "avx512" { 6..m } else { 0..0 };
        let starts = rows.flat_map(|i| [i * stride, i * stride + 64]);
        let mut expected: Vec<_> = starts.map(|at| c.as_ptr().wrapping_add(at).cast()).collect();
        let mut found = CHANGED.take();
        expected.sort();
        found.sort();
        assert_eq!(found, expected, "{}", isa.name());
    }
}

#[test]
#[ignore = "takes half a minute"]
fn products_of_every_shape_and_block() {
    for k in [1, 2, 255, 256, 257, 600] {
        for m in 1..=40 {
            for n in 1..=40 {
                check_all_kinds(m, n, k);
            }
        }
    }
}

#[test]
fn products_of_any_strides() {
    let (data, k) = (extreme::<f32>(3, 40_000), 300);
    // Six rows read B in place, twenty-seven of A are packed.
    for (m, n) in [(6, 21), (6, 85), (27, 21), (27, 85)] {
        let dense: Vec<f32> = (0..m * k).map(|i| data[(i / k) * 2 + (i % k) * 13]).collect();
        let a = MatRef::with_strides(&data, m, k, 2, 13);
        let b = MatRef::with_strides(&data, k, n, n + 8, 1);
        let (expected, stride) = (oracle::product(MatRef::new(&dense, m, k), b), n + 12);
        for isa in Isa::available() {
            let mut c = vec![5.0; m * stride];
            product(isa, a, b, &mut MatMut::with_row_stride(&mut c, m, n, stride));
            for (row, expected) in c.chunks_exact(stride).zip(expected.chunks_exact(n)) {
                assert_bits(&row[..n], expected, &format!("{} ({m}, {n})", isa.name()));
                assert_eq!(row[n..], [5.0; 12], "nothing is written beside the columns");
            }
        }
    }
}

/// The stride of a lone row is never gone, so it may be anything.
#[test]
fn lone_rows_of_any_stride() {
    let (x, y) = (mild::<f32>(6, 27), mild::<f32>(7, 85));
    let b = MatRef::with_strides(&y, 1, 85, usize::MAX, 1);
    for m in [1, 2, 27] {
        let a = MatRef::with_strides(&x, m, 1, 1, usize::MAX);
        let expected = oracle::product(MatRef::new(&x, m, 1), MatRef::new(&y, 1, 85));
        for isa in Isa::available() {
            let mut c = vec![7.0; m * 85];
            let stride = if m == 1 { usize::MAX } else { 85 };
            product(isa, a, b, &mut MatMut::with_row_stride(&mut c, m, 85, stride));
            assert_bits(&c, &expected, &format!("{} {m} rows", isa.name()));
        }
    }
}

#[test]
fn blocks_accumulate_in_order() {
    let (m, n, k) = (5, 11, 2 * BLOCK + 88);
    let (a, b) = (mild::<f32>(4, m * k), mild::<f32>(5, k * n));
    let (a, b) = (MatRef::new(&a, m, k), MatRef::new(&b, k, n));
    let expected = oracle::product(a, b);
    for isa in Isa::available() {
        let mut c = vec![f32::NAN; m * n];
        for first in (0..k).step_by(BLOCK) {
            let count = BLOCK.min(k - first);
            let (a, b) = (a.columns_from(first, count), b.rows_from(first, count));
            accumulate(isa, a, b, &mut MatMut::new(&mut c, m, n), first == 0);
        }
        assert_bits(&c, &expected, isa.name());
    }
    // The order is another one than that of a single chain, or the test shows nothing.
    let chain = (0..k).fold(0.0_f32, |sum, k| a.at(0, k).mul_add(b.at(k, 0), sum));
    assert_ne!(chain.to_bits(), expected[0].to_bits());
}

#[test]
fn a_sum_of_zeros_is_a_positive_zero() {
    for isa in Isa::available() {
        let mut c = [1.0_f32; 2];
        let (a, b) = ([-0.0_f32], [1.0_f32, 2.0]);
        product(isa, MatRef::new(&a, 1, 1), MatRef::new(&b, 1, 2), &mut MatMut::new(&mut c, 1, 2));
        assert_bits(&c, &[0.0, 0.0], isa.name());
    }
}

#[test]
#[should_panic(expected = "do not belong together")]
fn shapes_that_do_not_fit_are_refused() {
    let (a, b) = (MatRef::new(&[0.0_f32; 6], 2, 3), MatRef::new(&[0.0_f32; 8], 4, 2));
    product(Isa::portable(), a, b, &mut MatMut::new(&mut [0.0; 4], 2, 2));
}

/// W moved by the product's own epilogue, against the oracle's gradient and the oracle's step.
fn check_descent<T: Real>(draw: fn(u64, usize) -> Vec<T>, (m, n, k): (usize, usize, usize)) {
    let (a, b) = (draw(1, k * m), draw(2, k * n));
    // As in training: A is the transpose of what lies there.
    let (a, b) = (MatRef::new(&a, k, m).transposed(), MatRef::new(&b, k, n));
    let chain = oracle::product(a, b);
    let (w, v) = (draw(3, m * n), draw(4, m * n));
    // A sum that began with +0.0 is never -0.0.
    let earlier: Vec<T> = draw(5, m * n).iter().map(|&g| T::ZERO + g).collect();
    for isa in Isa::available() {
        for case in 0..8 {
            let momentum = T::from_f64(if case & 1 == 0 { 0.0 } else { 0.9 });
            let l2 = T::from_f64(if case & 2 == 0 { 0.0 } else { 0.01 });
            let (rate, before) = (T::from_f64(0.3), (case & 4 != 0).then_some(&earlier[..]));
            let what = format!("{} ({m}, {k}) ({k}, {n}) case {case}", isa.name());
            let g = |i: usize| before.map_or(chain[i], |before| before[i] + chain[i]);
            let expected =
                (0..m * n).map(|i| oracle::descend(w[i], v[i], g(i), rate, momentum, l2));
            let (expected, velocity): (Vec<T>, Vec<T>) = expected.unzip();

            let (mut found, mut found_v) = (w.clone(), v.clone());
            let scratch = Scratch::alone();
            let team = Team { isa, crew: &Alone, scratch: &scratch };
            let mut descent = Descent {
                w: &mut found,
                v: (case & 1 != 0).then_some(&mut found_v),
                before,
                rate,
                momentum,
                l2,
            };
            let finite = team.descend(a, b, &mut descent);
            assert_bits(&found, &expected, &what);
            assert_eq!(finite, expected.iter().all(|w| w.is_finite()), "{what}");
            if case & 1 != 0 {
                assert_bits(&found_v, &velocity, &what);
            } else {
                assert_bits(&found_v, &v, &what);
            }
        }
    }
}

#[test]
fn a_step_in_the_epilogue_is_that_of_the_gradient() {
    for k in [0, 1, 2, 5, 8, 9, 17, 255, 256] {
        let narrow = [(1, 1), (3, 10), (4, 33), (9, 16), (13, 31), (150, 5)];
        for shape in [&narrow[..], &[(11, 31), (11, 13), (20, 70), (23, 64), (5, 129)]].concat() {
            let shape = (shape.0, shape.1, k);
            check_descent::<f32>(mild, shape);
            check_descent::<f64>(mild, shape);
            check_descent::<f32>(extreme, shape);
            check_descent::<f64>(extreme, shape);
        }
    }
}

/// Both operands are packed; where they have few rows, B in groups of panels: in more than one.
#[test]
fn a_step_from_few_rows_is_that_of_the_gradient() {
    for (k, n) in [(17, 530), (30, 300), (100, 139)] {
        check_descent::<f32>(mild, (27, n, k));
        check_descent::<f64>(extreme, (29, n, k));
    }
}

/// B transposed, as on the way back, and A in place, packed or of any strides.
#[test]
fn products_of_transposes() {
    let narrow = [(5, 40, 300), (9, 33, 31), (140, 20, 16), (3, 7, 600), (1, 50, 70)];
    for (m, n, k) in [&narrow[..], &[(14, 100, 300), (31, 61, 20), (12, 64, 257)]].concat() {
        let (a, b) = (extreme::<f32>(6, m * k), extreme::<f32>(7, k * n));
        for a in [MatRef::new(&a, m, k), MatRef::new(&a, k, m).transposed()] {
            for b in [MatRef::new(&b, k, n), MatRef::new(&b, n, k).transposed()] {
                let expected = oracle::product(a, b);
                for isa in Isa::available() {
                    let mut c = vec![7.0; m * n];
                    product(isa, a, b, &mut MatMut::new(&mut c, m, n));
                    assert_bits(&c, &expected, &format!("{} {m} {n} {k}", isa.name()));
                }
            }
        }
    }
}

/// Eight workers, on one thread: chunk by chunk, at least so many, from the last to the first.
pub(super) struct Many(pub(super) usize);

// SAFETY: one chunk after the other.
unsafe impl Crew for Many {
    fn workers(&self) -> usize {
        8
    }

    fn share(&self, chunks: usize, work: &(dyn Fn(usize, usize) + Sync)) {
        assert!(chunks >= self.0, "the test is about sharing");
        for chunk in (0..chunks).rev() {
            work(chunk % 8, chunk);
        }
    }
}

#[test]
fn how_a_product_is_cut_changes_no_bit() {
    let scratch = Scratch::new();
    scratch.prepare(8).unwrap();
    let many = [(128, 100, 300), (256, 300, 40), (300, 17, 256), (70, 1000, 13)];
    let few = [(1, 1000, 300), (3, 1000, 300), (20, 300, 40)];
    for (m, n, k) in [&many[..], &few].concat() {
        let (a, b) = (mild::<f32>(8, m * k), mild::<f32>(9, k * n));
        let turned = MatRef::new(&a, k, m).transposed();
        // A few rows are shared where they need not be packed.
        let forms = [Some(MatRef::new(&a, m, k)), (m > 20).then_some(turned)];
        for a in forms.into_iter().flatten() {
            let b = MatRef::new(&b, k, n);
            let expected = oracle::product(a, b);
            for isa in Isa::available() {
                let team = Team { isa, crew: &Many(2), scratch: &scratch };
                let seen = std::sync::Mutex::new(vec![0; m * n]);
                let mut c = vec![7.0; m * n];
                let sum = team.product(a, b, &mut MatMut::new(&mut c, m, n), &|row, i, j| {
                    let mut seen = seen.lock().unwrap();
                    for (j, x) in row.iter_mut().enumerate().map(|(at, x)| (j + at, x)) {
                        assert_eq!(x.to_bits(), expected[i * n + j].to_bits());
                        seen[i * n + j] += 1;
                        *x = -*x;
                    }
                    row.len() as u64
                });
                assert_eq!(sum, (m * n) as u64);
                assert!(seen.into_inner().unwrap().iter().all(|&seen| seen == 1), "each once");
                let negated: Vec<f32> = expected.iter().map(|x| -x).collect();
                assert_bits(&c, &negated, isa.name());
                if k <= BLOCK {
                    let mut descent = Descent {
                        w: &mut c,
                        v: None,
                        before: None,
                        rate: 1.0,
                        momentum: 0.0,
                        l2: 0.0,
                    };
                    assert!(team.descend(a, b, &mut descent));
                    let twice: Vec<f32> = expected.iter().map(|x| -x - x).collect();
                    assert_bits(&c, &twice, isa.name());
                }
            }
        }
    }
}
