//! Tests of datasets.

use super::{Answers, Dataset, Inputs, Rows};
use crate::error::Error;
use crate::kernels::Isa;

/// Rows whose only input is their number, with class 0.
fn numbered(n: u8, batch_size: usize, seed: Option<u64>) -> Dataset<f64> {
    let x = Inputs::Values((0..n).map(f64::from).collect());
    let y = Answers::labels(&vec![0; n.into()], 1).unwrap();
    Dataset::new(x, y, n.into(), (1, 1), batch_size, seed).unwrap()
}

/// All rows of an epoch, batch by batch.
fn order(data: &mut Dataset<f64>, epoch: u64) -> Vec<usize> {
    data.prepare(epoch);
    let batches = (0..data.steps()).map(|step| data.batch(step));
    batches.flat_map(|rows| (0..rows.len()).map(move |i| rows.at(i))).collect()
}

#[test]
fn the_shuffle_is_that_of_numpy() {
    // numpy 2.4.6: argsort(Philox(key=[5, 2], counter=[0, 3, 0, 0]).random_raw(12), "stable")
    let expected = [11, 7, 0, 1, 9, 5, 4, 3, 10, 6, 8, 2];
    let mut data = numbered(12, 5, Some(5));
    assert_eq!(order(&mut data, 3), expected);
    assert_ne!(order(&mut data, 4), expected);
    assert_eq!(order(&mut data, 3), expected, "an epoch's order does not depend on the last one");
    assert_eq!(order(&mut numbered(12, 5, None), 3), (0..12).collect::<Vec<_>>());
}

#[test]
#[should_panic(expected = "an epoch is prepared")]
fn no_epoch_has_no_order() {
    let _ = numbered(12, 5, Some(5)).batch(0);
}

#[test]
fn the_last_batch_is_shorter_and_a_batch_is_at_most_all_rows() {
    let mut data = numbered(12, 5, Some(1));
    data.prepare(0);
    assert_eq!((data.steps(), data.batch(1).len(), data.batch(2).len()), (3, 5, 2));
    let data = numbered(12, 500, None);
    assert_eq!((data.steps(), data.batch_size(), data.batch(0).len()), (1, 12, 12));
}

#[test]
fn tiles_cover_all_rows_in_order() {
    let listed = [5, 3, 8, 1, 2];
    let tiles: Vec<_> = Rows::Listed(&listed).tiles(2).collect();
    assert_eq!(tiles, [Rows::Listed(&[5, 3]), Rows::Listed(&[8, 1]), Rows::Listed(&[2])]);
    let tiles: Vec<_> = Rows::Range(3, 4).tiles(3).collect();
    assert_eq!(tiles, [Rows::Range(3, 3), Rows::Range(6, 1)]);
    assert_eq!(Rows::Range(3, 0).tiles(3).count(), 0);
}

#[test]
fn rows_are_gathered_with_their_answers() {
    let x = Inputs::Pixels(vec![0, 255, 51, 1, 2, 3]);
    let y = Answers::labels(&[1, 0, 2], 3).unwrap();
    let data = Dataset::<f32>::new(x, y, 3, (2, 3), 1, None).unwrap();
    let (mut x, mut y) = ([9.0; 4], [9.0; 6]);
    data.gather(Rows::Listed(&[2, 0]), &mut x, &mut y);
    assert_eq!(x, [2.0 / 255.0, 3.0 / 255.0, 0.0, 1.0]);
    assert_eq!(y, [0.0, 0.0, 1.0, 0.0, 1.0, 0.0]);
    assert_eq!(data.label(2), Some(2));

    let x = Inputs::Values(vec![1.5, 2.5]);
    let y = Answers::Targets(vec![0.1, 0.2, 0.3, 0.4]);
    let data = Dataset::<f32>::new(x, y, 2, (1, 2), 1, None).unwrap();
    let (mut x, mut y) = ([9.0; 1], [9.0; 2]);
    data.gather(Rows::Range(1, 1), &mut x, &mut y);
    assert_eq!((x, y, data.label(1)), ([2.5], [0.3, 0.4], None));
}

#[test]
fn listed_pixels_are_gathered_as_all_are() {
    let (rows, n_in) = (5, 300);
    let all: Vec<u8> = (1..=250).flat_map(|i| [i, 0, 0, 0, 0, 0]).collect();
    let gathered = |data: &Dataset<f64>| {
        let (mut x, mut y) = (vec![9.0; 3 * n_in], [9.0; 3]);
        data.gather(Rows::Listed(&[4, 0, 2]), &mut x, &mut y);
        x
    };
    for isa in Isa::available() {
        let new = |x| {
            let y = Answers::Targets(vec![0.5; rows]);
            Dataset::<f64>::new(x, y, rows, (n_in, 1), 1, None).unwrap()
        };
        let mut later = new(Inputs::Pixels(all.clone()));
        let expected = gathered(&later);
        assert!(expected.iter().any(|&x| x > 0.0) && later.lists().is_none());
        assert!(later.list(isa) && later.lists().is_some());
        let mut at_once = new(Inputs::of_pixels(isa, all[..].into(), n_in).unwrap());
        assert!(later.inputs() == at_once.inputs() && at_once.list(isa));
        assert_eq!(gathered(&later), expected);
        assert_eq!(at_once.lit_share(), 250.0 / 1500.0);
    }
}

#[test]
fn a_row_is_classified_by_its_largest_output_the_first_of_equals() {
    let y = Answers::labels(&[1, 0], 3).unwrap();
    let x = Inputs::Values(vec![0.0; 2]);
    let labelled = Dataset::<f32>::new(x, y, 2, (1, 3), 1, None).unwrap();
    assert!(labelled.is_correct(0, &[0.1, 0.3, 0.3]));
    assert!(!labelled.is_correct(0, &[0.3, 0.3, 0.1]));
    assert!(labelled.is_correct(1, &[0.3, 0.3, 0.3]));

    let targets = |columns: usize| {
        let x = Inputs::Values(vec![0.0; 2]);
        let y = Answers::Targets([0.0, 1.0].repeat(columns));
        Dataset::<f32>::new(x, y, 2, (1, columns), 1, None).unwrap()
    };
    let one = targets(1);
    assert!(one.is_correct(0, &[0.5]) && !one.is_correct(1, &[0.5]));
    assert!(one.is_correct(1, &[0.6]) && !one.is_correct(0, &[0.6]));
    assert!(!targets(2).is_correct(0, &[0.0, 1.0]), "nothing to compare with");
}

#[test]
fn what_does_not_fit_is_refused() {
    let new = |x: Vec<f32>, y, batch_size| {
        Dataset::new(Inputs::Values(x), y, 2, (2, 3), batch_size, None).map(|data| data.rows())
    };
    let labels = || Answers::Labels(vec![0, 2]);
    assert_eq!(new(vec![0.0; 4], labels(), 1), Ok(2));
    let found = new(vec![0.0; 3], labels(), 1);
    assert_eq!(found, Err(Error::Length { what: "elements of x", expected: 4, found: 3 }));
    let found = new(vec![0.0, 1.0, f32::NAN, f32::INFINITY], labels(), 1);
    assert_eq!(found, Err(Error::NotFinite { what: "x", index: 2 }));
    assert_eq!(new(vec![0.0; 4], labels(), 0), Err(Error::EmptyBatch));
    let found = new(vec![0.0; 4], Answers::Labels(vec![0]), 1);
    assert_eq!(found, Err(Error::Length { what: "labels, one a row", expected: 2, found: 1 }));
    let found = new(vec![0.0; 4], Answers::Labels(vec![0, 3]), 1);
    assert_eq!(found, Err(Error::Label { row: 1, found: 3, classes: 3 }));
    let found = new(vec![0.0; 4], Answers::Targets(vec![0.0; 5]), 1);
    assert_eq!(found, Err(Error::Length { what: "elements of targets", expected: 6, found: 5 }));
    let found = new(vec![0.0; 4], Answers::Targets(vec![f32::INFINITY; 6]), 1);
    assert_eq!(found, Err(Error::NotFinite { what: "targets", index: 0 }));
    for label in [-1, 3, i64::MAX, i64::from(u32::MAX) + 2] {
        let found = Answers::<f32>::labels(&[0, label], 3);
        assert_eq!(found, Err(Error::Label { row: 1, found: label, classes: 3 }));
    }
}
