//! The batch-1 form of training, for small networks: row by row, each row a step.
//!
//! It computes what `train.rs` tells, to the bit, and `train.rs` judges it. The parameters are
//! copied into lines of a cache line each, padded with zeros, so that no loop has a tail and the
//! step's data stay next to the core; what is 0 in the input is left out where the plan wants it;
//! every layer but the first keeps W and its transpose, so that lanes run over outputs both ways.
//!
//! Whether every parameter stays finite is not looked at one by one: a running bound on their
//! magnitude grows with each step by what the step can add at most. Only where it comes near the
//! end of the range a step is done with care.

mod batch;
mod careful;
mod decoder;
mod inputs;
mod lone;
mod narrow;
mod part;
mod stages;

use crate::activation::Activation;
use crate::data::{Dataset, Inputs, Lists, Rows};
use crate::error::Error;
use crate::kernels::decoded::DecodedRow;
use crate::kernels::lines::{self, Line, Lines, Wide, Work};
use crate::kernels::memory::zeros;
use crate::kernels::rows::{self, Bound, Descent};
use crate::kernels::sparse::{self, LitPixel, LitRow, LitValue};
use crate::kernels::{Isa, Real, memory};
use crate::loss::Loss;
use crate::network::Network;
use crate::optimizer::{Optimizer, State};
use crate::steps::{Steps, Totals, Trained};
pub use batch::Batch;
use careful::Careful;
use decoder::Decoder;
pub use lone::Lone;
use narrow::{Back, There};
use part::{Part, Place};
use stages::{
    Backward, Forward, ForwardDecoded, ForwardLit, Step, StepDecoded, StepFirst, StepLit,
};

/// Rows are asked for so many steps before they are needed, and where they begin before that.
const AHEAD: usize = 3;

/// The bound is measured anew after so many steps, so that it does not creep up.
const MEASURE: usize = 4096;

/// A network's parameters in lines, and all scratch.
#[derive(Clone, Debug)]
pub struct Online<T> {
    parts: Vec<Part<T>>,
    /// Whether every layer has at most a line of outputs.
    narrow: bool,
    loss: Loss,
    /// What the row should become, (n_out,).
    y: Vec<Line<T>>,
    /// The row's inputs, where they are needed as numbers side by side.
    x: Vec<T>,
    /// Where rows of pixels may be decoded, if the first layer is narrow and has few enough inputs.
    room: Option<decoder::Room<T>>,
    bound: Bound<T>,
}

/// The inputs of one row.
#[derive(Clone, Copy)]
enum Row<'a, T> {
    /// Pixels that are not 0.
    Pixels(LitRow<'a, LitPixel>),
    /// Numbers that are not 0, and the largest magnitude of all rows.
    Values(LitRow<'a, LitValue<T>>, T),
    /// Numbers.
    Dense(&'a [T]),
    /// Numbers in the scratch.
    Gathered,
}

/// A step that the layers behind the first have yet to take.
struct Owed<T> {
    by: Descent<T>,
    /// a of the first layer.
    a: Line<T>,
}

/// What a slice of steps is done with.
struct Slice<'a, T> {
    online: &'a mut Online<T>,
    isa: Isa,
    data: &'a Dataset<T>,
    sparse: bool,
    /// Where rows are decoded before they are met.
    decoder: Option<Decoder<'a, T>>,
    steps: &'a Steps<'a>,
    totals: Totals,
    /// Taken before anything but the first layer is met.
    owed: Option<Owed<T>>,
}

impl<T: Real> Online<T> {
    /// Room for a network; for its optimiser's velocity too where it has one.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`].
    pub fn new(network: &Network<T>, velocity: bool) -> Result<Self, Error> {
        let layers = network.layers().iter().enumerate();
        let parts = layers
            .map(|(l, at)| {
                let place = if l == 0 { Place::First } else { Place::Behind };
                Part::new(at, place, velocity, 1)
            })
            .collect::<Result<Vec<_>, Error>>()?;
        let room = if parts[0].is_narrow() { decoder::room(network.n_in())? } else { None };
        Ok(Self {
            narrow: parts.iter().all(Part::is_narrow),
            parts,
            loss: network.loss(),
            y: zeros(lines::lines(network.n_out()))?,
            x: zeros(network.n_in())?,
            room,
            bound: Bound::default(),
        })
    }

    /// Whether it is for an optimiser with, or without, a velocity.
    #[must_use]
    pub fn fits(&self, velocity: bool) -> bool {
        self.parts[0].has_velocity() == velocity
    }

    /// Takes the steps; no allocation. The arguments are those of [`crate::train::Trainer::train`],
    /// checked.
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
        self.x.fill(T::ZERO);
        let mut room = self.room.take();
        let decoder = match (data.lists(), &mut room) {
            (Some(Lists::Pixels(lists)), Some(room)) if sparse => Some(Decoder { lists, room }),
            _ => None,
        };
        let slice = Slice { online: self, isa, data, sparse, decoder, steps, totals, owed: None };
        let trained = isa.run(slice);
        self.room = room;
        for (part, layer) in self.parts.iter().zip(layers) {
            part.store(layer, parameters, state.velocity_mut());
        }
        trained
    }

    /// Measures the bound anew.
    fn measure(&mut self) {
        self.bound = Bound::default();
        for part in &self.parts {
            part.measure(&mut self.bound);
        }
    }
}

impl<T: Real> Work<T> for Slice<'_, T> {
    type Output = Trained;

    #[inline(always)]
    fn run<S: Lines<T = T>>(mut self, s: S) -> Trained {
        let Steps { first, rates, optimizer, .. } = *self.steps;
        let Optimizer::Sgd { momentum, l2 } = optimizer;
        let rows = self.data.batches(first, rates.len());
        decoder::decode(s, &mut self.decoder, rows, 0);
        for (done, &rate) in rates.iter().enumerate() {
            if done % MEASURE == 0 {
                self.settle(s);
                self.online.measure();
            }
            let [rate, momentum, l2] = [rate, momentum, l2].map(T::from_f64);
            let by = Descent { rate, momentum, l2 };
            let diverged = self.step(s, rows, done, by);
            if diverged.is_some() {
                debug_assert!(self.owed.is_none(), "taken on the row's way");
                return Trained { totals: self.totals, steps: done, diverged };
            }
        }
        self.settle(s);
        Trained { totals: self.totals, steps: rates.len(), diverged: None }
    }
}

impl<'a, T: Real> Slice<'a, T> {
    /// Asks for what later steps need.
    #[inline(always)]
    fn prefetch(&self, rows: Rows<'_>, done: usize) {
        if done + 2 * AHEAD >= rows.len() {
            return;
        }
        let (near, far) = (rows.at(done + AHEAD), rows.at(done + 2 * AHEAD));
        self.data.prefetch_answer(near);
        match self.data.lists().filter(|_| self.sparse) {
            Some(Lists::Pixels(lists)) => {
                lists.prefetch_bounds(far);
                lists.prefetch_entries(near);
            }
            Some(Lists::Values(lists, _)) => {
                lists.prefetch_bounds(far);
                lists.prefetch_entries(near);
            }
            None => {
                let at = near * self.online.x.len()..(near + 1) * self.online.x.len();
                match self.data.inputs() {
                    Inputs::Pixels(pixels) => memory::prefetch(&pixels[at]),
                    Inputs::Values(values) => memory::prefetch(&values[at]),
                    Inputs::Listed(_) => {}
                }
            }
        }
    }

    /// The inputs of a row.
    #[inline(always)]
    fn inputs(&mut self, row: usize) -> Row<'a, T> {
        let data = self.data;
        match (data.lists().filter(|_| self.sparse), data.inputs()) {
            (Some(Lists::Pixels(lists)), _) => Row::Pixels(lists.row(row)),
            (Some(Lists::Values(lists, largest)), _) => Row::Values(lists.row(row), *largest),
            (None, Inputs::Values(values)) => {
                let n_in = self.online.x.len();
                Row::Dense(&values[row * n_in..(row + 1) * n_in])
            }
            (None, inputs) => {
                let x = &mut self.online.x;
                inputs.gather(Rows::Range(row, 1), x.len(), x);
                Row::Gathered
            }
        }
    }

    /// A row forward and back; adds to the totals and returns its loss, if it is finite.
    #[inline(always)]
    fn pass<S: Lines<T = T>>(
        &mut self,
        s: S,
        (rows, done): (Rows<'_>, usize),
        inputs: Row<'_, T>,
        totals: &mut Totals,
    ) -> f64 {
        let row = rows.at(done);
        let (data, label) = (self.data, self.data.label(row));
        if let Some(label) = label {
            lines::flat_mut(&mut self.online.y)[label] = T::ONE;
        } else {
            let y = &mut lines::flat_mut(&mut self.online.y)[..data.sizes().1];
            data.answers(Rows::Range(row, 1), y);
        }
        let decoded = decoder::decoded(s, self.decoder.as_ref(), done);
        self.online.enter(s, self.isa, inputs, decoded);
        // All here, as it is the sums that the processor waits for: to ask for what is far takes long, and
        // the layers behind the first have been left alone until now.
        self.prefetch(rows, done);
        self.settle(s);
        decoder::decode(s, &mut self.decoder, rows, done + 1);
        totals.saturated += self.online.there_and_back(s, self.isa);
        let loss = self.online.loss(self.isa, label).to_f64();
        totals.loss += loss;
        totals.correct += u64::from(self.is_correct(s, row, label));
        if let Some(label) = label {
            lines::flat_mut(&mut self.online.y)[label] = T::ZERO;
        }
        loss
    }

    /// One step of one row; returns the layer, if any, in which something is no longer finite.
    #[inline(always)]
    fn step<S>(&mut self, s: S, rows: Rows<'_>, done: usize, by: Descent<T>) -> Option<usize>
    where
        S: Lines<T = T>,
    {
        let row = rows.at(done);
        let inputs = self.inputs(row);
        let mut after = self.totals;
        if !self.pass(s, (rows, done), inputs, &mut after).is_finite() {
            return Some(self.online.parts.len() - 1);
        }
        if self.online.stays_finite(s, inputs, by) {
            let decoded = decoder::decoded(s, self.decoder.as_ref(), done);
            self.owed = self.online.descend(s, inputs, decoded, by);
        } else {
            let diverged = Careful::step(self.online, self.data, row, by);
            if diverged.is_some() {
                return diverged;
            }
        }
        self.totals = after;
        None
    }

    /// Takes the step that is owed.
    #[inline(always)]
    fn settle<S: Lines<T = T>>(&mut self, s: S) {
        if let Some(Owed { by, a }) = self.owed.take() {
            s.apart(Back { parts: &mut self.online.parts, a: &a, by });
        }
    }

    /// Whether the row is classified rightly.
    #[inline(always)]
    fn is_correct<S: Lines<T = T>>(&self, s: S, row: usize, label: Option<usize>) -> bool {
        let last = &self.online.parts[self.online.parts.len() - 1];
        match label {
            Some(label) => rows::largest_is_at(s, &last.a, last.n_out, label),
            None => self.data.is_correct(row, &lines::flat(&last.a)[..last.n_out]),
        }
    }
}

impl<T: Real> Online<T> {
    /// z and a of the first layer (Eq. 6, 7).
    #[inline(always)]
    fn enter<S: Lines<T = T>>(
        &mut self,
        s: S,
        isa: Isa,
        inputs: Row<'_, T>,
        decoded: Option<&DecodedRow<T>>,
    ) {
        let Self { parts, x: gathered, .. } = self;
        let part = &mut parts[0];
        if let Some(x) = decoded {
            debug_assert!(matches!(inputs, Row::Pixels(_)), "only these are decoded");
            return s.apart(ForwardDecoded { isa, x, part });
        }
        match inputs {
            Row::Pixels(x) => s.apart(ForwardLit { isa, x, part }),
            Row::Values(x, _) => s.apart(ForwardLit { isa, x, part }),
            Row::Dense(x) => s.apart(Forward { isa, x, part }),
            Row::Gathered => s.apart(Forward { isa, x: gathered, part }),
        }
    }

    /// z and a of the others, and r of all; returns how many hidden units are saturated.
    #[inline(always)]
    fn there_and_back<S: Lines<T = T>>(&mut self, s: S, isa: Isa) -> u64 {
        if self.narrow {
            let Self { parts, y, loss, .. } = self;
            return s.apart(There { isa, parts, y: &y[0], squared: *loss == Loss::SquaredError });
        }
        for l in 1..self.parts.len() {
            let (before, behind) = self.parts.split_at_mut(l);
            s.apart(Forward { isa, x: before[l - 1].outputs(), part: &mut behind[0] });
        }
        self.backward(s, isa)
    }

    /// E of the row (Eq. 11).
    #[inline(always)]
    fn loss(&self, isa: Isa, label: Option<usize>) -> T {
        let last = &self.parts[self.parts.len() - 1];
        let n = last.n_out;
        let (z, a) = (&lines::flat(&last.z)[..n], &lines::flat(&last.a)[..n]);
        self.loss.forward(isa, z, a, &lines::flat(&self.y)[..n], label)
    }

    /// r of every layer (Eq. 24); returns how many hidden units are saturated.
    #[inline(always)]
    fn backward<S: Lines<T = T>>(&mut self, s: S, isa: Isa) -> u64 {
        let last = self.parts.len() - 1;
        let part = &mut self.parts[last];
        if self.loss == Loss::SquaredError {
            rows::twice_difference(s, &part.a, &self.y, &mut part.r); // dE/da = 2 (a - y)
            part.slope(s, isa);
        } else {
            rows::difference(s, &part.a, &self.y, &mut part.r);
        }
        let mut saturated = 0;
        for l in (0..last).rev() {
            let (before, after) = self.parts.split_at_mut(l + 1);
            let (part, next) = (&mut before[l], &after[0]);
            saturated += s.apart(Backward { isa, next, part });
        }
        saturated
    }

    /// What a step can add: magnitudes of r down the lanes, and what no input of a layer exceeds.
    #[inline(always)]
    fn reach<S: Lines<T = T>>(&self, s: S, inputs: Row<'_, T>) -> (Wide<S>, T) {
        let largest = match inputs {
            Row::Pixels(_) | Row::Gathered => T::ONE,
            Row::Values(_, largest) => largest,
            Row::Dense(x) => rows::magnitude(s, x),
        };
        let (mut r, mut reach) = (Wide::splat(s, T::ZERO), T::ONE + largest);
        for (l, part) in self.parts.iter().enumerate() {
            r = rows::add_magnitudes(s, &part.r, r);
            let unbounded = matches!(part.activation, Activation::Identity | Activation::Relu);
            if unbounded && l + 1 < self.parts.len() {
                reach = reach + rows::magnitude(s, lines::flat(&part.a));
            }
        }
        (r, reach)
    }

    /// Whether the step surely leaves every parameter finite; then the bound covers it.
    #[inline(always)]
    fn stays_finite<S: Lines<T = T>>(&mut self, s: S, inputs: Row<'_, T>, by: Descent<T>) -> bool {
        let (r, reach) = self.reach(s, inputs);
        self.bound.grow(s, r, reach, by) || {
            self.measure();
            self.bound.grow(s, r, reach, by)
        }
    }

    /// Moves every parameter against its gradient (Eq. 5); or the first layer's only, and returns what [`Back`]
    /// needs to move the others before they are met again.
    #[inline(always)]
    fn descend<S: Lines<T = T>>(
        &mut self,
        s: S,
        inputs: Row<'_, T>,
        decoded: Option<&DecodedRow<T>>,
        by: Descent<T>,
    ) -> Option<Owed<T>> {
        let Self { parts, narrow, x: gathered, .. } = self;
        let plain = !parts[0].has_velocity() && by.l2 == T::ZERO;
        let owed = (*narrow && plain).then(|| Owed { by, a: parts[0].a[0] });
        if owed.is_none() {
            for l in (1..parts.len()).rev() {
                let (before, after) = parts.split_at_mut(l);
                s.apart(Step { before: &before[l - 1], part: &mut after[0], by });
            }
        }
        let part = &mut parts[0];
        match inputs {
            Row::Pixels(x) if plain => {
                let step = StepLit { x, largest: T::ONE, part, by };
                match decoded {
                    Some(decoded) => s.apart(StepDecoded { decoded, step }),
                    None => s.apart(step),
                }
            }
            Row::Values(x, largest) if plain => s.apart(StepLit { x, largest, part, by }),
            Row::Dense(x) => s.apart(StepFirst { x, part, by }),
            Row::Gathered => s.apart(StepFirst { x: gathered, part, by }),
            Row::Pixels(x) => {
                sparse::scatter(x, gathered);
                s.apart(StepFirst { x: gathered, part, by });
                sparse::clear(x, gathered);
            }
            Row::Values(x, _) => {
                sparse::scatter(x, gathered);
                s.apart(StepFirst { x: gathered, part, by });
                sparse::clear(x, gathered);
            }
        }
        owed
    }
}
