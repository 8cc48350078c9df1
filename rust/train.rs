//! Training, layer by layer: the plain telling of the algorithm.
//!
//! A step takes a batch of rows forward through the layers, computes their losses, goes backward
//! by the chain rule and moves every parameter against its gradient. The numbers of equations are
//! those of the report.

mod run;
mod trace;

pub use crate::steps::{Steps, Totals, Trained};
pub use trace::LayerTrace;

use crate::data::{Dataset, PixelTable, Rows};
use crate::error::Error;
use crate::init::Initialization;
use crate::kernels::{Isa, Real, elementwise, fpu};
use crate::matrix::transpose;
use crate::network::Network;
use crate::online::Online;
use crate::optimizer::{Optimizer, State, not_negative};
use crate::plan::{Path, Plan};
use crate::workspace::{Forward, TILE, Workspace};

/// A network in training: its optimiser's state and its scratch beside it.
#[derive(Clone, Debug)]
pub struct Trainer<T> {
    network: Network<T>,
    state: State<T>,
    plan: Plan,
    pixels: PixelTable<T>,
    workspace: Option<Workspace<T>>,
    online: Option<Online<T>>,
}

impl<T: Real> Trainer<T> {
    /// Begins with a network, and no optimiser's state.
    #[must_use]
    pub fn new(network: Network<T>, plan: Plan) -> Self {
        Self {
            network,
            state: State::new(),
            plan,
            pixels: PixelTable::new(),
            workspace: None,
            online: None,
        }
    }

    /// The network.
    #[must_use]
    pub fn network(&self) -> &Network<T> {
        &self.network
    }

    /// How the work is done.
    #[must_use]
    pub fn plan(&self) -> Plan {
        self.plan
    }

    /// Draws new weights, a scheme a layer; zeroes the biases; forgets the optimiser's state.
    ///
    /// # Errors
    /// [`Error::Length`] where there is not one scheme a layer.
    pub fn initialize(&mut self, seed: u64, schemes: &[Initialization]) -> Result<(), Error> {
        self.network.initialize(seed, schemes)?;
        self.state = State::new();
        Ok(())
    }

    /// Copies of the parameters and of the optimiser's vectors by name, in flat order.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`].
    #[expect(clippy::type_complexity, reason = "a vector, and named vectors")]
    pub fn state(&self) -> Result<(Vec<T>, Vec<(&'static str, Vec<T>)>), Error> {
        let vectors = self.state.vectors().map(|(name, v)| Ok((name, self.network.flat_order(v)?)));
        Ok((self.network.flat()?, vectors.collect::<Result<_, Error>>()?))
    }

    /// Takes over both, in flat order.
    ///
    /// # Errors
    /// Where a length or a name is wrong, or an element is not finite; then nothing changes.
    pub fn set_state(&mut self, parameters: &[T], vectors: &[(&str, &[T])]) -> Result<(), Error> {
        let mut state = State::new();
        for (name, vector) in vectors {
            let vector =
                self.network.internal_order("elements of the optimizer's state", vector)?;
            state.insert(name, vector)?;
        }
        self.network.set_flat(parameters)?;
        self.state = state;
        Ok(())
    }

    /// Takes one step a rate, and stops where a loss or a parameter is no longer finite.
    ///
    /// # Errors
    /// Where the dataset is of another size, a rate is negative or not finite, the epoch has
    /// fewer steps, or memory is short; then nothing changes.
    pub fn train(
        &mut self,
        data: &mut Dataset<T>,
        steps: &Steps<'_>,
        totals: Totals,
    ) -> Result<Trained, Error> {
        self.check_sizes(data)?;
        steps.optimizer.check()?;
        steps.rates.iter().try_for_each(|&rate| not_negative("learning_rate", rate))?;
        let (expected, found) = (data.steps(), steps.first.saturating_add(steps.rates.len()));
        if found > expected {
            return Err(Error::Steps { expected, found });
        }
        if steps.rates.is_empty() {
            return Ok(Trained { totals, steps: 0, diverged: None });
        }
        data.prepare(steps.epoch)?;
        self.plan.decide(&self.network, data, &steps.optimizer);
        if self.plan.path != Path::Layered {
            return self.train_online(data, steps, totals);
        }
        self.online = None;
        let batch_size = data.batch_size();
        let mut workspace = match self.workspace.take().filter(|w| w.holds(batch_size)) {
            Some(workspace) => workspace,
            None => Workspace::new(&self.network, batch_size)?,
        };
        self.state.prepare(&steps.optimizer, self.network.n_parameters())?;
        let trained = fpu::exact(|| self.take_steps(data, steps, totals, &mut workspace));
        self.workspace = Some(workspace);
        Ok(trained)
    }

    /// The same, row by row: each row a step, or what the rows of a batch add up to.
    fn train_online(
        &mut self,
        data: &Dataset<T>,
        steps: &Steps<'_>,
        totals: Totals,
    ) -> Result<Trained, Error> {
        self.workspace = None; // one form's scratch at a time
        let velocity = !steps.optimizer.vectors().is_empty();
        let batch = data.batch_size() > 1;
        let mut online = match self.online.take().filter(|online| online.fits(velocity, batch)) {
            Some(online) => online,
            None => Online::new(&self.network, velocity, batch)?,
        };
        self.state.prepare(&steps.optimizer, self.network.n_parameters())?;
        let Self { network, state, plan, pixels, .. } = self;
        let sparse = plan.path.is_sparse();
        let (isa, state) = (plan.isa, &mut *state);
        let trained =
            fpu::exact(|| online.train(network, state, isa, pixels, data, sparse, steps, totals));
        self.online = Some(online);
        Ok(trained)
    }

    /// The steps themselves: no allocation from here on.
    fn take_steps(
        &mut self,
        data: &Dataset<T>,
        steps: &Steps<'_>,
        mut totals: Totals,
        workspace: &mut Workspace<T>,
    ) -> Trained {
        let isa = self.plan.isa;
        for (done, &rate) in steps.rates.iter().enumerate() {
            let rows = data.batch(steps.first + done);
            let mut after = totals;
            let loss = gradient(&self.network, isa, data, rows, workspace, &mut after);
            if !loss.is_finite() {
                let diverged = Some(self.network.layers().len() - 1);
                return Trained { totals, steps: done, diverged };
            }
            let diverged = self.update(&steps.optimizer, T::from_f64(rate), &workspace.g);
            if diverged.is_some() {
                return Trained { totals, steps: done, diverged };
            }
            totals = after;
        }
        Trained { totals, steps: steps.rates.len(), diverged: None }
    }

    /// Moves every parameter against its gradient (Eq. 5). Returns the first layer, if any, with a
    /// parameter that is no longer finite.
    fn update(&mut self, optimizer: &Optimizer, rate: T, g: &[T]) -> Option<usize> {
        let mut diverged = None;
        let (layers, parameters) = self.network.parts();
        for (l, layer) in layers.iter().enumerate() {
            let state = &mut self.state;
            if !optimizer.update(self.plan.isa, rate, layer, parameters, g, state) {
                diverged = diverged.or(Some(l));
            }
        }
        diverged
    }

    /// Checks that a dataset is for a network of this size.
    fn check_sizes(&self, data: &Dataset<T>) -> Result<(), Error> {
        let (n_in, n_out) = data.sizes();
        for (what, expected, found) in [
            ("inputs a row of the dataset", self.network.n_in(), n_in),
            ("outputs a row of the dataset", self.network.n_out(), n_out),
        ] {
            if expected != found {
                return Err(Error::Length { what, expected, found });
            }
        }
        Ok(())
    }
}

/// The gradient of the mean loss of a batch, into `workspace.g`; also adds to the totals.
///
/// The rows are worked on in tiles, which are the blocks of rule 1. Returns a sum of the losses,
/// which is finite where they are.
fn gradient<T: Real>(
    network: &Network<T>,
    isa: Isa,
    data: &Dataset<T>,
    batch: Rows<'_>,
    workspace: &mut Workspace<T>,
    totals: &mut Totals,
) -> f64 {
    transpose_weights(network, &mut workspace.transposed);
    let mut sum = 0.0;
    for (t, tile) in batch.tiles(TILE).enumerate() {
        let rows = tile.len();
        let Workspace { forward: scratch, y, r, .. } = workspace;
        let y = &mut y[..rows * network.n_out()];
        data.gather(tile, &mut scratch.a[0][..rows * network.n_in()], y);
        forward(network, isa, scratch, rows);
        sum += losses(network, isa, data, tile, scratch, y, totals);
        output_delta(network, isa, scratch, y, r, batch.len());
        totals.saturated += backward(network, isa, workspace, rows, t == 0);
    }
    sum
}

/// Takes `rows` rows from the inputs `scratch.a[0]` through all layers (Eq. 6, 7, 11).
fn forward<T: Real>(network: &Network<T>, isa: Isa, scratch: &mut Forward<T>, rows: usize) {
    for (l, layer) in network.layers().iter().enumerate() {
        let (before, after) = scratch.a.split_at_mut(l + 1);
        layer.forward(
            isa,
            network.parameters(),
            &before[l][..rows * layer.n_in],
            &mut scratch.z[l][..rows * layer.n_out], // z = W a + b
            &mut after[0][..rows * layer.n_out],     // a = sigma(z)
        );
    }
}

/// Adds each row's E (Eq. 11), and whether it is classified rightly, to the totals.
///
/// Returns the sum of this tile's losses.
fn losses<T: Real>(
    network: &Network<T>,
    isa: Isa,
    data: &Dataset<T>,
    tile: Rows<'_>,
    scratch: &Forward<T>,
    y: &[T],
    totals: &mut Totals,
) -> f64 {
    let n_out = network.n_out();
    let (z, a) = output(scratch);
    let mut sum = 0.0;
    for i in 0..tile.len() {
        let (row, at) = (tile.at(i), i * n_out..(i + 1) * n_out);
        let (z, a, y) = (&z[at.clone()], &a[at.clone()], &y[at]);
        let loss = network.loss().forward(isa, z, a, y, data.label(row)).to_f64();
        sum += loss;
        totals.loss += loss;
        totals.correct += u64::from(data.is_correct(row, a));
    }
    sum
}

/// r of the last layer, (rows, n_out), divided by the rows of the batch (rule 3).
fn output_delta<T: Real>(
    network: &Network<T>,
    isa: Isa,
    scratch: &Forward<T>,
    y: &[T],
    r: &mut [T],
    batch: usize,
) {
    let (z, a) = output(scratch);
    let (z, a, r) = (&z[..y.len()], &a[..y.len()], &mut r[..y.len()]);
    let layer = network.output();
    network.loss().backward(isa, layer.activation, z, a, y, r, layer.n_out);
    if batch > 1 {
        #[expect(clippy::cast_precision_loss, reason = "there are fewer than 2^32 rows")]
        elementwise::divide(isa, r, T::from_f64(batch as f64));
    }
}

/// From r of the last layer back to the first (Eq. 24): adds this tile's gradients to
/// `workspace.g`. Returns how many hidden units are saturated.
fn backward<T: Real>(
    network: &Network<T>,
    isa: Isa,
    workspace: &mut Workspace<T>,
    rows: usize,
    first: bool,
) -> u64 {
    let Workspace { forward: Forward { z, a }, r, d, transposed, g, .. } = workspace;
    let mut saturated = 0;
    let mut end = transposed.len();
    for (l, layer) in network.layers().iter().enumerate().rev() {
        let (n_in, n_out) = (layer.n_in, layer.n_out);
        let a = &a[l][..rows * n_in];
        layer.gradients(isa, a, &r[..rows * n_out], g, first); // dE/dW = r a^T, dE/db = r
        if l > 0 {
            let start = end - n_in * n_out;
            let w = &transposed[start..end];
            layer.backward(isa, w, &r[..rows * n_out], &mut d[..rows * n_in]); // dE/da = W^T r
            let (activation, z) = (network.layers()[l - 1].activation, &z[l - 1][..rows * n_in]);
            // r = sigma'(z) * dE/da
            saturated += activation.backward(isa, z, a, &mut d[..rows * n_in], n_in);
            std::mem::swap(r, d);
            end = start;
        }
    }
    saturated
}

/// z and a of the last layer.
fn output<T>(scratch: &Forward<T>) -> (&[T], &[T]) {
    (&scratch.z[scratch.z.len() - 1], &scratch.a[scratch.a.len() - 1])
}

/// W (n_out, n_in) of each layer but the first, one behind the other.
fn transpose_weights<T: Real>(network: &Network<T>, transposed: &mut [T]) {
    let mut start = 0;
    for layer in &network.layers()[1..] {
        let end = start + layer.n_in * layer.n_out;
        let weights = &network.parameters()[layer.weights()];
        transpose(weights, layer.n_in, layer.n_out, &mut transposed[start..end]);
        start = end;
    }
}

#[cfg(test)]
mod online_tests;
#[cfg(test)]
mod tests;
