//! Batches of a few rows whose inputs are mostly 0, through a small network.
//!
//! As in the batch-1 form the parameters lie in lines, those behind the first layer both ways, and
//! what is 0 in the inputs is left out; z, a and r are those of all rows. So there is no packing
//! and no copying, which would take longer than the arithmetic.

use super::part::{Part, Place};
use crate::data::{Dataset, Listed, Lists, Rows};
use crate::error::Error;
use crate::kernels::gemm::BLOCK;
use crate::kernels::lines::{self, Line, Lines, Work};
use crate::kernels::memory::zeros;
use crate::kernels::rows::{self, Descent};
use crate::kernels::sparse::Lit;
use crate::kernels::{Isa, Real, elementwise, few};
use crate::loss::Loss;
use crate::matrix::checked_product;
use crate::network::Network;
use crate::optimizer::{Optimizer, State};
use crate::plan::ONLINE_BYTES;
use crate::steps::{Steps, Totals, Trained};

/// Of more rows, products are worth packing.
const ROWS: usize = 15;

/// The first layer's outputs fill at most so many bytes.
const OUTPUTS: usize = 128;

/// And so many parameters there are at most behind it: products of more are worth packing.
const BEHIND: usize = 1 << 12;

/// A network's parameters in lines, and the scratch of a batch.
#[derive(Clone, Debug)]
pub struct Batch<T> {
    parts: Vec<Part<T>>,
    loss: Loss,
    /// What the rows should become, (rows, lines of n_out).
    y: Vec<Line<T>>,
    /// The rows' inputs as numbers, (rows, lines of n_in): for steps that may leave nothing out.
    x: Vec<Line<T>>,
    /// The gradient of a block of inputs, (256, lines).
    sums: Vec<Line<T>>,
    rows: usize,
}

impl<T: Real> Batch<T> {
    /// Whether batches of `rows` rows are best done so.
    #[must_use]
    pub fn pays(network: &Network<T>, rows: usize) -> bool {
        let first = &network.layers()[0];
        let behind = network.n_parameters() - first.biases().end;
        rows <= ROWS
            && lines::lines(first.n_out) * size_of::<Line<T>>() <= OUTPUTS
            && first.n_in * lines::lines(first.n_out) * size_of::<Line<T>>() <= ONLINE_BYTES
            && behind <= BEHIND
    }

    /// Room for a network, with its optimiser's velocity where it has one, and for so many rows.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`].
    pub fn new(network: &Network<T>, velocity: bool, rows: usize) -> Result<Self, Error> {
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
            sums: zeros(BLOCK * lines::lines(network.layers()[0].n_out))?,
            rows,
        })
    }

    /// Whether it is for an optimiser with, or without, a velocity, and for so many rows.
    #[must_use]
    pub fn fits(&self, velocity: bool, rows: usize) -> bool {
        self.parts[0].has_velocity() == velocity && self.rows >= rows
    }

    /// Takes the steps; no allocation. The arguments are those of [`crate::train::Trainer::train`],
    /// checked, and the dataset has lists.
    pub fn train(
        &mut self,
        network: &mut Network<T>,
        state: &mut State<T>,
        isa: Isa,
        data: &Dataset<T>,
        steps: &Steps<'_>,
        totals: Totals,
    ) -> Trained {
        let (layers, parameters) = network.parts();
        for (part, layer) in self.parts.iter_mut().zip(layers) {
            part.load(layer, parameters, state.velocity());
        }
        let trained = match data.lists() {
            Some(Lists::Pixels(lists)) => {
                isa.run(Slice { batch: self, isa, data, lists, steps, totals })
            }
            Some(Lists::Values(lists, _)) => {
                isa.run(Slice { batch: self, isa, data, lists, steps, totals })
            }
            None => unreachable!("only where there are lists"),
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
    lists: &'a Listed<E>,
    steps: &'a Steps<'a>,
    totals: Totals,
}

impl<T: Real, E: Lit<T>> Work<T> for Slice<'_, T, E> {
    type Output = Trained;

    #[inline(always)]
    fn run<S: Lines<T = T>>(mut self, s: S) -> Trained {
        let Steps { first, rates, optimizer, .. } = *self.steps;
        let Optimizer::Sgd { momentum, l2 } = optimizer;
        for (done, &rate) in rates.iter().enumerate() {
            let [rate, momentum, l2] = [rate, momentum, l2].map(T::from_f64);
            let by = Descent { rate, momentum, l2 };
            self.prefetch(first + done, rates.len() - done);
            let diverged = self.step(s, self.data.batch(first + done), by);
            if diverged.is_some() {
                return Trained { totals: self.totals, steps: done, diverged };
            }
        }
        Trained { totals: self.totals, steps: rates.len(), diverged: None }
    }
}

impl<T: Real, E: Lit<T>> Slice<'_, T, E> {
    /// Asks for what the next steps need.
    #[inline(always)]
    fn prefetch(&self, step: usize, left: usize) {
        if left > 2 {
            let far = self.data.batch(step + 2);
            (0..far.len()).for_each(|i| self.lists.prefetch_bounds(far.at(i)));
        }
        if left > 1 {
            let near = self.data.batch(step + 1);
            (0..near.len()).for_each(|i| self.lists.prefetch_entries(near.at(i)));
        }
    }

    /// One step by some rows; returns the first layer, if any, in which something is no longer
    /// finite.
    #[inline(always)]
    fn step<S: Lines<T = T>>(&mut self, s: S, rows: Rows<'_>, by: Descent<T>) -> Option<usize> {
        let Self { batch, isa, data, lists, .. } = self;
        let (isa, count, last) = (*isa, rows.len(), batch.parts.len() - 1);
        let mut after = self.totals;
        s.apart(ForwardLit { isa, lists, rows, part: &mut batch.parts[0] });
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
        let part = &mut parts[0];
        let finite = if elementwise::all_finite(
            isa,
            lines::flat(&part.r[..count * lines::lines(part.n_out)]),
        ) {
            s.apart(StepLit { lists, rows, part, sums, by })
        } else {
            step_whole(isa, data, rows, x, part, by)
        };
        if !finite {
            diverged = Some(0);
        }
        if diverged.is_none() {
            self.totals = after;
        }
        diverged
    }
}

/// z and a of the first layer, from those inputs that are not 0 (Eq. 6, 7).
struct ForwardLit<'a, T, E> {
    isa: Isa,
    lists: &'a Listed<E>,
    rows: Rows<'a>,
    part: &'a mut Part<T>,
}

impl<T: Real, E: Lit<T>> Work<T> for ForwardLit<'_, T, E> {
    type Output = ();

    #[inline(always)]
    fn run<S: Lines<T = T>>(self, s: S) {
        let Self { isa, lists, rows, part } = self;
        let (row, count) = (|i| lists.row(rows.at(i)), rows.len());
        let z = &mut part.z[..count * lines::lines(part.n_out)];
        if z.len() == count {
            few::product_lit::<S, E, 1>(s, &row, &part.w, z);
        } else {
            few::product_lit::<S, E, 2>(s, &row, &part.w, z);
        }
        part.activate_rows(s, isa, count);
    }
}

/// The same of a layer behind another.
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

/// One step of the first layer, from those inputs that are not 0; returns whether each of its
/// parameters is finite.
struct StepLit<'a, T, E> {
    lists: &'a Listed<E>,
    rows: Rows<'a>,
    part: &'a mut Part<T>,
    sums: &'a mut [Line<T>],
    by: Descent<T>,
}

impl<T: Real, E: Lit<T>> Work<T> for StepLit<'_, T, E> {
    type Output = bool;

    #[inline(always)]
    fn run<S: Lines<T = T>>(self, s: S) -> bool {
        let Self { lists, rows, part, sums, by } = self;
        let biases = part.step_biases_by_rows(s, rows.len(), by);
        let row = |i| lists.row(rows.at(i));
        let Part { n_in, n_out, w, v, r, .. } = part;
        let (row, r) = ((&row, *n_in), &r[..rows.len() * lines::lines(*n_out)]);
        let weights = if r.len() == rows.len() {
            few::step_lit::<S, E, 1>(s, row, r, (w, v), by, sums)
        } else {
            few::step_lit::<S, E, 2>(s, row, r, (w, v), by, sums)
        };
        biases && weights
    }
}

/// The same with nothing left out, as r is not finite, and 0 times that is not 0.
#[cold]
fn step_whole<T: Real>(
    isa: Isa,
    data: &Dataset<T>,
    rows: Rows<'_>,
    x: &mut [Line<T>],
    part: &mut Part<T>,
    by: Descent<T>,
) -> bool {
    let (n_in, stride) = (part.n_in, lines::lines(part.n_in));
    for (i, x) in x.chunks_exact_mut(stride).take(rows.len()).enumerate() {
        let x = &mut lines::flat_mut(x)[..n_in];
        data.inputs().gather(Rows::Range(rows.at(i), 1), n_in, x);
    }
    isa.run(StepWhole { rows: rows.len(), x, part, by })
}

struct StepWhole<'a, T> {
    rows: usize,
    x: &'a [Line<T>],
    part: &'a mut Part<T>,
    by: Descent<T>,
}

impl<T: Real> Work<T> for StepWhole<'_, T> {
    type Output = bool;

    #[inline(always)]
    fn run<S: Lines<T = T>>(self, s: S) -> bool {
        let Self { rows, x, part, by } = self;
        let biases = part.step_biases_by_rows(s, rows, by);
        let Part { n_in, n_out, w, v, r, .. } = part;
        let r = &r[..rows * lines::lines(*n_out)];
        biases & few::step(s, rows, (x, *n_in), r, (w, v), by)
    }
}
