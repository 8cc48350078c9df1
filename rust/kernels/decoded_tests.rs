//! Decoded rows, judged by the lists that they are decoded from.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::{BLOCK, Decode, DecodedRow, Descent, LINE, Line, LitPixel, LitRow, Real};
use crate::kernels::Isa;
use crate::kernels::lines::flat;
use crate::kernels::sparse;
use crate::kernels::testing::{assert_bits, extreme, in_lines, mild, work};
use crate::kernels::tiny::largest_tiny;
use crate::rng::Words;

work! {
    Product<'a, T> {
        x: &'a DecodedRow<T>, w: &'a [Line<T>], z: &'a mut Line<T>,
    }
    |s, x: &DecodedRow<T>, w, z| x.product(s, w).store(z), ()
}
work! {
    Step<'a, T> {
        x: &'a DecodedRow<T>, r: &'a Line<T>, w: &'a mut [Line<T>], by: Descent<T>,
    }
    |s, x: &DecodedRow<T>, r, w, by| x.step(s, r, w, by), ()
}
work! {
    ListedProduct<'a, T> {
        x: LitRow<'a, LitPixel>, w: &'a [Line<T>], z: &'a mut [Line<T>],
    }
    sparse::product, ()
}
work! {
    ListedStep<'a, T> {
        x: LitRow<'a, LitPixel>, r: &'a [Line<T>], w: &'a mut [Line<T>], by: Descent<T>,
    }
    |s, x, r, w, by| sparse::step(s, (x, T::ONE), (r, false), w, by), ()
}

/// Lists of rows of so many inputs, one behind the other; in each block another share is lit.
struct Lists {
    entries: Vec<LitPixel>,
    bounds: Vec<u32>,
    blocks: usize,
}

impl Lists {
    fn new(rows: usize, inputs: usize) -> Self {
        let (mut entries, mut bounds) = (vec![], vec![0]);
        let mut words = Words::new(5, 97, 0);
        for row in 0..rows {
            for (b, first) in (0..inputs).step_by(BLOCK).enumerate() {
                let share = [256, 0, 40, 255, 3, 100, 30][(row * 3 + b) % 7];
                for (at, word) in (0..=255).zip(&mut words).take(BLOCK.min(inputs - first)) {
                    let [pixel, chance, ..] = word.to_le_bytes();
                    if pixel > 0 && u16::from(chance) < share {
                        entries.push(LitPixel { at, pixel });
                    }
                }
                bounds.push(u32::try_from(entries.len()).unwrap());
            }
        }
        Self { entries, bounds, blocks: inputs.div_ceil(BLOCK) }
    }

    fn row(&self, row: usize) -> LitRow<'_, LitPixel> {
        LitRow::new(&self.entries, &self.bounds[row * self.blocks..=(row + 1) * self.blocks])
    }
}

/// As online training: one place for all rows, as long as they come.
fn check<T: Real>(isa: Isa, draw: fn(u64, usize) -> Vec<T>, rows: usize, inputs: usize) {
    let lists = Lists::new(rows, inputs);
    let mut decoded = DecodedRow::<T>::new(inputs).unwrap().unwrap();
    let by = Descent { rate: T::from_f64(0.3), momentum: T::ZERO, l2: T::ZERO };
    let w: Vec<T> = draw(2, lists.blocks * BLOCK * LINE);
    let (mut expected, mut found) = (in_lines(&w), in_lines(&w));
    for row in 0..rows {
        // Deltas that are tiny are not for this.
        let not_tiny = |x: T| if x.abs() > largest_tiny() { x } else { -T::ZERO };
        let r: Vec<T> = draw(3 + row as u64, LINE).into_iter().map(not_tiny).collect();
        let (x, r) = (lists.row(row), in_lines(&r));
        let what = format!("{} {inputs} {row}", isa.name());
        isa.run(Decode { row: x, to: &mut decoded });
        let (mut z, mut sum) = ([Line::default()], Line::default());
        isa.run(ListedProduct { x, w: &expected, z: &mut z });
        isa.run(Product { x: &decoded, w: &found, z: &mut sum });
        assert_bits(&sum.0, &z[0].0, &what);
        isa.run(ListedStep { x, r: &r, w: &mut expected, by });
        isa.run(Step { x: &decoded, r: &r[0], w: &mut found, by });
        assert_bits(flat(&found), flat(&expected), &what);
    }
    assert!(flat(&found) != w, "weights moved");
}

#[test]
fn decoded_rows_are_met_as_listed_ones() {
    for isa in Isa::available() {
        // At the end of the lists nothing stands behind a row, whatever its length.
        for inputs in [1, 15, 16, 17, 255, 256, 257, 520, 768, 784, 1023, 1024] {
            for rows in [1, 2, 9] {
                check::<f32>(isa, mild, rows, inputs);
                check::<f64>(isa, mild, rows, inputs);
            }
            check::<f32>(isa, extreme, 7, inputs);
            check::<f64>(isa, extreme, 7, inputs);
        }
    }
}

#[test]
fn every_pixel_becomes_the_quotient_of_the_table() {
    fn check<T: Real>(isa: Isa) {
        let entries: Vec<_> = (0..=255).map(|x| LitPixel { at: 255 - x, pixel: x }).collect();
        let mut decoded = DecodedRow::<T>::new(BLOCK).unwrap().unwrap();
        isa.run(Decode { row: LitRow::new(&entries, &[0, 256]), to: &mut decoded });
        assert_bits(&decoded.values, T::QUOTIENTS, isa.name());
    }
    for isa in Isa::available() {
        check::<f32>(isa);
        check::<f64>(isa);
    }
}

/// What a failed call leaves is a row that meets nothing.
#[test]
fn a_row_that_was_not_decoded_is_empty() {
    let mut decoded = DecodedRow::<f32>::new(BLOCK).unwrap().unwrap();
    let lit = [LitPixel { at: 200, pixel: 9 }];
    Isa::detect().run(Decode { row: LitRow::new(&lit, &[0, 1]), to: &mut decoded });
    assert_eq!(decoded.bounds, [0, 1, 1, 1, 1]);
    // More entries than there are.
    let row = LitRow::new(&lit, &[0, 16]);
    let failed = catch_unwind(AssertUnwindSafe(|| {
        Isa::detect().run(Decode { row, to: &mut decoded });
    }));
    assert!(failed.is_err());
    assert_eq!(decoded.bounds, [0; 5]);
}

#[test]
fn rows_of_many_blocks_are_not_decoded() {
    assert!(DecodedRow::<f32>::new(4 * BLOCK).unwrap().is_some());
    assert!(DecodedRow::<f32>::new(4 * BLOCK + 1).unwrap().is_none());
}

#[test]
#[should_panic(expected = "a row of this many inputs")]
fn other_rows_are_not_taken() {
    let mut decoded = DecodedRow::<f32>::new(784).unwrap().unwrap();
    Isa::detect().run(Decode { row: Lists::new(1, 600).row(0), to: &mut decoded });
}

#[test]
#[should_panic(expected = "the weights of all blocks")]
fn weights_are_counted() {
    let decoded = DecodedRow::<f32>::new(784).unwrap().unwrap();
    let w = &in_lines(&mild::<f32>(1, 784 * LINE));
    Isa::detect().run(Product { x: &decoded, w, z: &mut Line::default() });
}
