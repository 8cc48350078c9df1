//! Batches of a few rows through a small network.
//!
//! As in the batch-1 form the parameters lie in lines, those behind the first layer both ways, and
//! what is 0 in the inputs is left out where the plan wants it; z, a and r are those of all rows. So
//! there is no packing and no copying, which would take longer than the arithmetic.

use super::inputs::{Desk, Entry, Lists, Whole};
use super::part::{Part, Place};
use crate::data::{self, Dataset, Rows};
use crate::error::Error;
use crate::kernels::gemm::BLOCK;
use crate::kernels::lines::{self, Line, Lines, Work};
use crate::kernels::memory::zeros;
use crate::kernels::rows::{self, Descent};
use crate::kernels::{Isa, Real, elementwise, few};
use crate::loss::Loss;
use crate::matrix::checked_product;
use crate::network::Network;
use crate::optimizer::{Optimizer, State};
use crate::steps::{Steps, Totals, Trained};

/// A network's parameters in lines, and the scratch of a batch.
#[derive(Clone, Debug)]
pub struct Batch<T> {
    parts: Vec<Part<T>>,
    loss: Loss,
    /// What the rows should become, (rows, lines of n_out).
    y: Vec<Line<T>>,
    /// Scratch of the first layer, as [`Desk`] has it.
    x: Vec<Line<T>>,
    sums: Vec<Line<T>>,
    rows: usize,
}

impl<T: Real> Batch<T> {
    /// Room for a network, with its optimiser's velocity where it has one, and for so many rows.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`].
    pub fn new(
        network: &Network<T>,
        velocity: bool,
        rows: usize,
        sparse: bool,
    ) -> Result<Self, Error> {
        let layers = network.layers().iter().enumerate();
        let part = |(l, layer)| {
            let place = if l == 0 { Place::First } else { Place::Behind };
            Part::new(layer, place, velocity, rows)
        };
        let all = |n| zeros(checked_product(rows, lines::lines(n))?);
        Ok(Self {
            parts: layers.map(part).collect::<Result<_, _>>()?,
            loss: network.loss(),
            y: all(network.n_out())?,
            x: all(network.n_in())?,
            sums: zeros(if sparse {
                2 * BLOCK * lines::lines(network.layers()[0].n_out)
            } else {
                0
            })?,
            rows,
        })
    }

    /// Whether it is for an optimiser with, or without, a velocity, for so many rows, and for zeros left out
    /// or not.
    #[must_use]
    pub fn fits(&self, velocity: bool, rows: usize, sparse: bool) -> bool {
        self.parts[0].has_velocity() == velocity
            && self.rows >= rows
            && self.sums.is_empty() != sparse
    }

    /// Takes the steps; no allocation. The arguments are those of [`crate::train::Trainer::train`],
    /// checked; where `sparse`, the dataset has lists.
    #[expect(clippy::too_many_arguments, reason = "all that a trainer has")]
    pub fn train(
        &mut self,
        network: &mut Network<T>,
        state: &mut State<T>,
        isa: Isa,
        data: &Dataset<T>,
        sparse: bool,
        steps: &Steps<'_>,
        totals: Totals,
    ) -> Trained {
        let (layers, parameters) = network.parts();
        for (part, layer) in self.parts.iter_mut().zip(layers) {
            part.load(layer, parameters, state.velocity());
        }
        let trained = match data.lists().filter(|_| sparse) {
            Some(data::Lists::Pixels(lists)) => {
                let entry = Lists(lists);
                isa.run(Slice { batch: self, isa, data, entry, steps, totals })
            }
            Some(data::Lists::Values(lists, _)) => {
                let entry = Lists(lists);
                isa.run(Slice { batch: self, isa, data, entry, steps, totals })
            }
            None => {
                debug_assert!(!sparse, "only where there are lists");
                isa.run(Slice { batch: self, isa, data, entry: Whole, steps, totals })
            }
        };
        for (part, layer) in self.parts.iter().zip(layers) {
            part.store(layer, parameters, state.velocity_mut());
        }
        trained
    }
}

/// What a slice of steps is done with.
struct Slice<'a, T, E> {
    batch: &'a mut Batch<T>,
    isa: Isa,
    data: &'a Dataset<T>,
    entry: E,
    steps: &'a Steps<'a>,
    totals: Totals,
}

impl<T: Real, E: Entry<T>> Work<T> for Slice<'_, T, E> {
    type Output = Trained;

    #[inline(always)]
    fn run<S: Lines<T = T>>(mut self, s: S) -> Trained {
        let Steps { first, rates, optimizer, .. } = *self.steps;
        let Optimizer::Sgd { momentum, l2 } = optimizer;
        for (done, &rate) in rates.iter().enumerate() {
            let [rate, momentum, l2] = [rate, momentum, l2].map(T::from_f64);
            let by = Descent { rate, momentum, l2 };
            self.entry.prefetch(self.data, first + done, rates.len() - done);
            let diverged = self.step(s, self.data.batch(first + done), by);
            if diverged.is_some() {
                return Trained { totals: self.totals, steps: done, diverged };
            }
        }
        Trained { totals: self.totals, steps: rates.len(), diverged: None }
    }
}

impl<T: Real, E: Entry<T>> Slice<'_, T, E> {
    /// One step by some rows; returns the first layer, if any, in which something is no longer
    /// finite.
    #[inline(always)]
    fn step<S: Lines<T = T>>(&mut self, s: S, rows: Rows<'_>, by: Descent<T>) -> Option<usize> {
        let Self { batch, isa, data, entry, .. } = self;
        let (isa, data, count, last) = (*isa, *data, rows.len(), batch.parts.len() - 1);
        let mut after = self.totals;
        let Batch { parts, x, sums, .. } = &mut **batch;
        entry.forward(s, isa, (data, rows), &mut parts[0], Desk { x, sums });
        for l in 0..last {
            let (before, behind) = batch.parts.split_at_mut(l + 1);
            s.apart(Forward { isa, rows: count, before: &before[l], part: &mut behind[0] });
        }
        if !s.apart(Judge { batch, isa, data, rows, totals: &mut after }).is_finite() {
            return Some(last);
        }
        let mut diverged = None;
        for l in (1..=last).rev() {
            let (before, behind) = batch.parts.split_at_mut(l);
            let (before, part) = (&mut before[l - 1], &mut behind[0]);
            let (saturated, finite) = s.apart(Back { isa, rows: count, before, part, by });
            after.saturated += saturated;
            diverged = if finite { diverged } else { Some(l) };
        }
        let Batch { parts, x, sums, .. } = &mut **batch;
        if !entry.step(s, isa, (data, rows), &mut parts[0], by, Desk { x, sums }) {
            diverged = Some(0);
        }
        if diverged.is_none() {
            self.totals = after;
        }
        diverged
    }
}

/// z and a of a layer behind another (Eq. 6, 7).
struct Forward<'a, T> {
    isa: Isa,
    rows: usize,
    before: &'a Part<T>,
    part: &'a mut Part<T>,
}

impl<T: Real> Work<T> for Forward<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<S: Lines<T = T>>(self, s: S) {
        let Self { isa, rows, before, part } = self;
        let z = &mut part.z[..rows * lines::lines(part.n_out)];
        few::product(s, rows, (&before.a, before.n_out), &part.w, z);
        part.activate_rows(s, isa, rows);
    }
}

/// E of each row (Eq. 11) and r of the last layer; returns the sum of E, which is finite where each
/// is.
struct Judge<'a, T> {
    batch: &'a mut Batch<T>,
    isa: Isa,
    data: &'a Dataset<T>,
    rows: Rows<'a>,
    totals: &'a mut Totals,
}

impl<T: Real> Work<T> for Judge<'_, T> {
    type Output = f64;

    #[inline(always)]
    fn run<S: Lines<T = T>>(self, s: S) -> f64 {
        let Self { batch: Batch { parts, loss, y, .. }, isa, data, rows, totals } = self;
        let (last, rows_here) = (parts.len() - 1, rows.len());
        let part = &mut parts[last];
        let (n, count) = (part.n_out, lines::lines(part.n_out));
        let mut sum = 0.0;
        for i in 0..rows_here {
            let (row, at) = (rows.at(i), i * count..(i + 1) * count);
            let label = data.label(row);
            let y = lines::flat_mut(&mut y[at.clone()]);
            if let Some(label) = label {
                y.fill(T::ZERO);
                y[label] = T::ONE;
            } else {
                data.answers(Rows::Range(row, 1), &mut y[..n]);
            }
            let (z, lines_of_a) = (&lines::flat(&part.z[at.clone()])[..n], &part.a[at]);
            let a = &lines::flat(lines_of_a)[..n];
            let loss = loss.forward(isa, z, a, &y[..n], label).to_f64();
            sum += loss;
            totals.loss += loss;
            totals.correct += u64::from(match label {
                Some(label) => rows::largest_is_at(s, lines_of_a, n, label),
                None => data.is_correct(row, a),
            });
        }
        let all = rows_here * count;
        let (a, y, r) = (&part.a[..all], &y[..all], &mut part.r[..all]);
        if *loss == Loss::SquaredError {
            rows::twice_difference(s, a, y, r); // dE/da = 2 (a - y)
            part.slope_rows(s, isa, rows_here);
        } else {
            rows::difference(s, a, y, r);
        }
        if rows_here > 1 {
            #[expect(clippy::cast_precision_loss, reason = "there are few rows")]
            let divisor = T::from_f64(rows_here as f64);
            elementwise::divide(isa, lines::flat_mut(&mut part.r[..all]), divisor);
        }
        sum
    }
}

/// r of a layer from that of the next (Eq. 24), then one step of the next, W both ways (Eq. 5).
/// Returns how many units are saturated, and whether each parameter of the next is finite.
struct Back<'a, T> {
    isa: Isa,
    rows: usize,
    before: &'a mut Part<T>,
    part: &'a mut Part<T>,
    by: Descent<T>,
}

impl<T: Real> Work<T> for Back<'_, T> {
    type Output = (u64, bool);

    #[inline(always)]
    fn run<S: Lines<T = T>>(self, s: S) -> (u64, bool) {
        let Self { isa, rows, before, part, by } = self;
        let biases = part.step_biases_by_rows(s, rows, by);
        let Part { n_out, w, v, transposed, v_transposed, r, .. } = part;
        let n_in = before.n_out;
        let d = &mut before.r[..rows * lines::lines(n_in)];
        few::product(s, rows, (r, *n_out), transposed, d); // dE/da = W^T r
        let a = &before.a[..d.len()];
        let r = &r[..rows * lines::lines(*n_out)];
        let weights = few::step(s, rows, (a, n_in), r, (w, v), by);
        few::step(s, rows, (r, *n_out), a, (transposed, v_transposed), by);
        (before.slope_rows(s, isa, rows), biases && weights) // r = sigma'(z) * dE/da
    }
}
