//! Training, layer by layer: the plain telling of the algorithm.
//!
//! A step takes a batch of rows forward through the layers, computes their losses, goes backward
//! by the chain rule and moves every parameter against its gradient. The numbers of equations are
//! those of the report.

mod backward;
mod few;
mod form;
mod kept;
mod run;
mod tiles;
mod trace;

pub use crate::steps::{Steps, Totals, Trained};
pub use trace::LayerTrace;

use std::sync::atomic::{AtomicUsize, Ordering};

use crate::data::{Dataset, Rows};
use crate::error::Error;
use crate::init::Initialization;
use crate::kernels::gemm::{self, Scratch, Team};
use crate::kernels::{Isa, Real, elementwise, fpu};
use crate::network::Network;
use crate::online::{Batch, Lone, Online};
use crate::optimizer::{Optimizer, State, not_negative};
use crate::plan::{Plan, Told};
use crate::pool;
use crate::workspace::{Forward, TILE, Workspace};
use backward::{backward, is_met_ahead};
use few::{Few, Panels};
use form::{Form, forward_lit};
use kept::Kept;
use tiles::Tiles;

/// So many rows of the next batch are asked for while one is worked on.
const AHEAD: usize = 16;

/// A network in training: its optimiser's state and its scratch beside it.
#[derive(Debug)]
pub struct Trainer<T> {
    network: Network<T>,
    state: State<T>,
    plan: Plan,
    workspace: Option<Workspace<T>>,
    tiles: Option<Tiles<T>>,
    /// What a few rows are predicted with; for one row, a copy of the parameters as they are.
    few: Few<T>,
    lone: Option<Lone<T>>,
    scratch: Scratch<T>,
    /// How many threads may work.
    threads: AtomicUsize,
    /// What ran last.
    told: Told,
    online: Option<Online<T>>,
    batch: Option<Batch<T>>,
    kept: Option<Kept<T>>,
}

impl<T: Real> Trainer<T> {
    /// Begins with a network, and no optimiser's state.
    #[must_use]
    pub fn new(network: Network<T>, plan: Plan) -> Self {
        Self {
            network,
            state: State::new(),
            plan,
            workspace: None,
            tiles: None,
            few: Few::new(),
            lone: None,
            scratch: Scratch::new(),
            threads: AtomicUsize::new(1),
            told: Told::new(),
            online: None,
            batch: None,
            kept: None,
        }
    }

    /// The network.
    #[must_use]
    pub fn network(&self) -> &Network<T> {
        &self.network
    }

    /// How the work is done; with as many threads as did something when it was last done.
    #[must_use]
    pub fn plan(&self) -> Plan {
        self.told.of(self.plan)
    }

    /// Lets so many threads work from now on, where it pays; at first one may. No bit depends on
    /// it.
    pub fn allow_threads(&self, threads: usize) {
        self.threads.store(threads.clamp(1, gemm::MAX_WORKERS), Ordering::Relaxed);
    }

    fn threads(&self) -> usize {
        self.threads.load(Ordering::Relaxed)
    }

    /// Draws new weights, a scheme a layer; zeroes the biases; forgets the optimiser's state.
    ///
    /// # Errors
    /// [`Error::Length`] where there is not one scheme a layer.
    pub fn initialize(&mut self, seed: u64, schemes: &[Initialization]) -> Result<(), Error> {
        self.network.initialize(seed, schemes)?;
        self.forget_copies();
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
        self.forget_copies();
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
        data.prepare(steps.epoch);
        self.forget_copies(); // what they hold will have changed
        self.plan.decide(&self.network, data, !steps.optimizer.vectors().is_empty());
        if self.plan.path.is_online() {
            return self.train_online(data, steps, totals);
        }
        if self.plan.path.is_few() {
            return self.train_few(data, steps, totals);
        }
        (self.online, self.batch) = (None, None);
        let threads = self.threads();
        self.scratch.prepare(threads)?;
        let mut form = self.form(data, &steps.optimizer, threads)?;
        self.state.prepare(&steps.optimizer, self.network.n_parameters())?;
        form.load(&self.network, &self.state);
        let scratch = std::mem::take(&mut self.scratch);
        let (trained, worked) = pool::with(threads, |crew| {
            let team = Team { isa: self.plan.isa, crew, scratch: &scratch };
            fpu::exact(|| self.take_steps(&team, data, steps, totals, &mut form))
        });
        self.told.tell(worked, Some(self.plan.path));
        self.scratch = scratch;
        self.keep(form, trained.diverged.is_some());
        Ok(trained)
    }

    /// The steps themselves: no allocation from here on.
    fn take_steps(
        &mut self,
        team: &Team<'_, T>,
        data: &Dataset<T>,
        steps: &Steps<'_>,
        mut totals: Totals,
        form: &mut Form<T>,
    ) -> Trained {
        if let Form::Products(workspace) = form {
            workspace.ahead.met = false; // what was met before these steps may be other rows
        }
        for (done, &rate) in steps.rates.iter().enumerate() {
            let rows = data.batch(steps.first + done);
            let has_next = done + 1 < steps.rates.len();
            let next = has_next.then(|| data.batch(steps.first + done + 1));
            if self.plan.path.is_sparse()
                && let Some(next) = next
            {
                next.tiles(AHEAD).take(1).for_each(|rows| data.prefetch(rows));
            }
            team.crew.turn(rows.len() * self.network.n_parameters());
            let mut after = totals;
            let by = (&steps.optimizer, T::from_f64(rate));
            let diverged = match form {
                Form::Products(workspace) => {
                    self.step(team, data, (rows, next), by, workspace, &mut after)
                }
                Form::Tiles(tiles) => {
                    let is_last = steps.first + done + 1 == data.steps();
                    self.step_by_tiles(team, data, (rows, is_last), by, tiles, &mut after)
                }
            };
            if diverged.is_some() {
                return Trained { totals, steps: done, diverged };
            }
            totals = after;
        }
        Trained { totals, steps: steps.rates.len(), diverged: None }
    }

    /// One step by the rows of a batch; also adds to the totals. Returns the first layer, if any,
    /// in which something is no longer finite; after an infinite loss nothing has moved.
    ///
    /// The rows are worked on in tiles, which are the blocks of rule 1. The last one moves the
    /// parameters while it goes back through the layers: its gradient is not written down.
    fn step(
        &mut self,
        team: &Team<'_, T>,
        data: &Dataset<T>,
        (batch, next): (Rows<'_>, Option<Rows<'_>>),
        (optimizer, rate): (&Optimizer, T),
        workspace: &mut Workspace<T>,
        totals: &mut Totals,
    ) -> Option<usize> {
        let last = (batch.len() - 1) / TILE;
        let mut loss = 0.0;
        for (t, tile) in batch.tiles(TILE).enumerate() {
            totals.correct += run_tile(&self.network, team, data, (tile, batch.len()), workspace);
            loss += totals.add_losses(&workspace.losses[..tile.len()]);
            if t < last {
                totals.saturated += backward(&self.network, team, data, tile, workspace, t == 0);
            }
        }
        if !loss.is_finite() {
            return Some(self.network.layers().len() - 1);
        }
        let tile = batch.tiles(TILE).last().unwrap_or(batch);
        let next = next.filter(|next| is_met_ahead(&self.network, team, workspace, (batch, *next)));
        let by = (optimizer, rate);
        let (saturated, diverged) =
            self.descend(team, data, (tile, next), by, workspace, last == 0);
        totals.saturated += saturated;
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
fn gradient<T: Real>(
    network: &Network<T>,
    team: &Team<'_, T>,
    data: &Dataset<T>,
    batch: Rows<'_>,
    workspace: &mut Workspace<T>,
    totals: &mut Totals,
) {
    for (t, tile) in batch.tiles(TILE).enumerate() {
        totals.correct += run_tile(network, team, data, (tile, batch.len()), workspace);
        totals.add_losses(&workspace.losses[..tile.len()]);
        totals.saturated += backward(network, team, data, tile, workspace, t == 0);
    }
}

/// Takes a tile of a batch forward, writes down its losses and begins the way back. Returns how
/// many of its rows are classified rightly.
fn run_tile<T: Real>(
    network: &Network<T>,
    team: &Team<'_, T>,
    data: &Dataset<T>,
    (tile, batch): (Rows<'_>, usize),
    workspace: &mut Workspace<T>,
) -> u64 {
    let rows = tile.len();
    let Workspace { forward: activations, y, labels, losses, r, first, ahead, .. } = workspace;
    if let Some(first) = first {
        forward_lit(network, team, activations, (first, data, tile));
        sums_behind(network, team, activations, rows, (1, None));
    } else if std::mem::take(&mut ahead.met) {
        sums_behind(network, team, activations, rows, (1, None));
    } else {
        data.gather_inputs(team, tile, &mut activations.a[0][..rows * network.n_in()]);
        sums_behind(network, team, activations, rows, (0, None));
    }
    let (labels, losses) = (data.labels(tile, labels), &mut losses[..rows]);
    let outputs = rows * network.n_out();
    let (z, y, r) = (&activations.z[..outputs], &mut y[..outputs], &mut r[..outputs]);
    let at_once = network.loss().at_once(team.isa, (z, labels), losses, r, divisor(batch));
    if let Some(correct) = at_once {
        return correct;
    }
    data.answers(tile, y);
    activate_output(network, team.isa, activations, rows);
    let correct = judge(network, team.isa, data, tile, activations, (y, labels), losses);
    output_delta(network, team.isa, activations, y, r, batch);
    correct
}

/// Takes `rows` rows from the inputs `scratch.a[first]` through the layers from `first` on (Eq. 6, 7, 11), by
/// panels where there are any.
fn forward_behind<T: Real>(
    network: &Network<T>,
    team: &Team<'_, T>,
    scratch: &mut Forward<T>,
    rows: usize,
    from: (usize, Option<&Panels<T>>),
) {
    sums_behind(network, team, scratch, rows, from);
    activate_output(network, team.isa, scratch, rows);
}

/// The same up to z of the last layer.
fn sums_behind<T: Real>(
    network: &Network<T>,
    team: &Team<'_, T>,
    scratch: &mut Forward<T>,
    rows: usize,
    (first, panels): (usize, Option<&Panels<T>>),
) {
    let (parameters, last) = (network.parameters(), network.layers().len() - 1);
    for (l, layer) in network.layers().iter().enumerate().skip(first) {
        let (before, after) = scratch.a.split_at_mut(l + 1);
        let (x, a) = (&before[l][..rows * layer.n_in], &mut after[0][..rows * layer.n_out]);
        let by = (parameters, panels.and_then(|panels| panels.of(l)));
        if l < last {
            layer.activate(team, by, x, a); // a = sigma(W a + b)
        } else {
            layer.forward(team, by, x, &mut scratch.z[..rows * layer.n_out]); // z = W a + b
        }
    }
}

/// a = sigma(z) of the last layer.
fn activate_output<T: Real>(
    network: &Network<T>,
    isa: Isa,
    Forward { z, a }: &mut Forward<T>,
    rows: usize,
) {
    let (layer, a) = (network.output(), a.last_mut().expect("the output's"));
    let outputs = rows * layer.n_out;
    layer.activation.forward(isa, &z[..outputs], &mut a[..outputs], layer.n_out);
}

/// E of each row (Eq. 11) of a tile. Returns how many of them are classified rightly.
fn judge<T: Real>(
    network: &Network<T>,
    isa: Isa,
    data: &Dataset<T>,
    tile: Rows<'_>,
    scratch: &Forward<T>,
    (y, labels): (&[T], &[u32]),
    losses: &mut [T],
) -> u64 {
    let (z, a) = output(scratch);
    let (z, a) = (&z[..y.len()], &a[..y.len()]);
    network.loss().forward_rows(isa, (z, a, y), labels, losses);
    data.count_correct(isa, tile, labels, a)
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
    let (_, a) = output(scratch);
    let (a, r) = (&a[..y.len()], &mut r[..y.len()]);
    let layer = network.output();
    network.loss().backward(isa, layer.activation, a, y, r, layer.n_out);
    if batch > 1 {
        elementwise::divide(isa, r, divisor(batch));
    }
}

/// What the rows of a batch divide their r by (rule 3).
#[expect(clippy::cast_precision_loss, reason = "there are fewer than 2^32 rows")]
fn divisor<T: Real>(rows: usize) -> T {
    T::from_f64(rows as f64)
}

/// z and a of the last layer.
fn output<T>(scratch: &Forward<T>) -> (&[T], &[T]) {
    (&scratch.z, &scratch.a[scratch.a.len() - 1])
}

#[cfg(test)]
mod ahead_tests;
#[cfg(test)]
mod online_tests;
#[cfg(test)]
mod tests;
