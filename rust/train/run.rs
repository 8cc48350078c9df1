//! Running a network without training it: predictions, losses, gradients.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use super::{Panels, Totals, Trainer, forward_behind, gradient, judge};
use crate::data::{Dataset, Inputs, Rows, Source};
use crate::error::Error;
use crate::kernels::gemm::{Alone, Packed, Sole, Team};
use crate::kernels::memory::zeros;
use crate::kernels::{Isa, Real, elementwise, fpu};
use crate::matrix::checked_product;
use crate::network::Network;
use crate::online::Lone;
use crate::plan::{self, Path};
use crate::pool;
use crate::workspace::{Forward, TILE, Workspace};

/// So many elements are copied for the first lone row that meets them.
const COPIED: usize = 1 << 16;

impl<T: Real> Trainer<T> {
    /// The activations of the last layer, (rows, n_out), for inputs (rows, n_in).
    ///
    /// # Errors
    /// Where the length is wrong, an input is not finite, or memory is short.
    pub fn predict(&self, x: &Inputs<T>, rows: usize) -> Result<Vec<T>, Error> {
        let Some(source) = Source::of(x) else {
            let mut values = zeros(x.len())?;
            x.gather(Rows::Range(0, rows), self.network.n_in(), &mut values);
            return self.predict(&Inputs::Values(values), rows);
        };
        let outputs = self.predict_from(source, rows)?;
        outputs.map_or_else(|| x.check().map(|()| Vec::new()), Ok)
    }

    /// The same for inputs that may change meanwhile. None where one is not finite.
    ///
    /// # Errors
    /// Where the length is wrong, or memory is short.
    pub fn predict_from(&self, x: Source<'_, T>, rows: usize) -> Result<Option<Vec<T>>, Error> {
        let (what, expected) = ("elements of x", checked_product(rows, self.network.n_in())?);
        if x.len() != expected {
            return Err(Error::Length { what, expected, found: x.len() });
        }
        let mut outputs = zeros(checked_product(rows, self.network.n_out())?)?;
        let threads = self.threads(); // another thread may allow others meanwhile
        Ok(self.fill(x, rows, threads, &mut outputs)?.then_some(outputs))
    }

    /// The same on this thread alone. What it returns lies in scratch.
    ///
    /// # Errors
    /// Where memory is short.
    ///
    /// # Panics
    /// Where there are not so many elements.
    pub fn predict_few(&mut self, x: Source<'_, T>, rows: usize) -> Result<Option<&[T]>, Error> {
        assert!(x.len() == rows * self.network.n_in(), "whole rows");
        // A larger copy pays only where the parameters stay as they are.
        let small = |network| plan::in_lines(network) <= COPIED;
        if rows == 1 && (self.lone.is_some() || small(&self.network) || self.few.shelf.meet()) {
            return self.predict_one(x);
        }
        let count = rows * self.network.n_out();
        let mut outputs = std::mem::take(&mut self.few.outputs);
        if outputs.len() < count {
            outputs = zeros(count)?;
        }
        let finite = self.fill(x, rows, 1, &mut outputs[..count]);
        self.few.outputs = outputs;
        Ok(finite?.then(|| &self.few.outputs[..count]))
    }

    /// Whether the copy of the parameters that so many rows meet is made already.
    #[cfg(feature = "python")]
    pub(crate) fn is_ready(&self, rows: usize) -> bool {
        if rows <= 1 { self.lone.is_some() } else { self.few.shelf.is_filled() }
    }

    /// The activations of the last layer. Returns whether all inputs are finite.
    fn fill(
        &self,
        x: Source<'_, T>,
        rows: usize,
        threads: usize,
        outputs: &mut [T],
    ) -> Result<bool, Error> {
        let threads = plan::helpers(&self.network, rows, threads);
        match plan::apart(&self.network, rows, threads) {
            Some(each) if threads > 1 => self.fill_apart(x, each, threads, outputs),
            Some(each) => self.fill_in_turn(x, (each, plan::lit(&self.network)), 1, outputs),
            None => self.fill_in_turn(x, (TILE, false), threads, outputs),
        }
    }

    /// Tiles of `each` rows in turn, each product shared by all workers.
    fn fill_in_turn(
        &self,
        x: Source<'_, T>,
        (each, lit): (usize, bool),
        threads: usize,
        outputs: &mut [T],
    ) -> Result<bool, Error> {
        let rows = outputs.len() / self.network.n_out();
        let most = each.min(rows);
        let mut desk = self.few.desks.take(&self.network, most)?;
        let (finite, worked) = self.with_team(threads, |team| {
            let panels = self.few.shelf.panels(&self.network, team, rows);
            let how = (lit, panels.as_deref());
            outputs.chunks_mut(each * self.network.n_out()).enumerate().all(|(t, outputs)| {
                predict_tile(&self.network, team, (x, t * each), how, &mut desk, outputs)
            })
        })?;
        self.few.desks.put(&self.network, most, [desk]);
        Ok(self.told_if(finite, worked, Path::layered(lit)))
    }

    /// Tiles of `each` rows, shared by the workers.
    fn fill_apart(
        &self,
        x: Source<'_, T>,
        each: usize,
        threads: usize,
        outputs: &mut [T],
    ) -> Result<bool, Error> {
        let rows = outputs.len() / self.network.n_out();
        let desk = |_| Ok(Mutex::new(self.few.desks.take(&self.network, each)?));
        let desks = (0..threads).map(desk).collect::<Result<Vec<_>, Error>>()?;
        let tiles: Vec<_> =
            outputs.chunks_mut(each * self.network.n_out()).map(Mutex::new).collect();
        let finite = AtomicBool::new(true);
        let lit = plan::lit(&self.network);
        let ((), worked) = self.with_team(threads, |team| {
            let panels = self.few.shelf.panels(&self.network, team, rows);
            let how = (lit, panels.as_deref());
            team.crew.share(tiles.len(), &|worker, t| {
                // Neither lock is ever waited for.
                let mut desk = desks[worker].lock().unwrap_or_else(PoisonError::into_inner);
                let mut outputs = tiles[t].lock().unwrap_or_else(PoisonError::into_inner);
                let team = &Team { crew: &Sole(worker), ..*team };
                let tile = (x, t * each);
                if finite.load(Ordering::Relaxed)
                    && !predict_tile(&self.network, team, tile, how, &mut desk, &mut outputs)
                {
                    finite.store(false, Ordering::Relaxed);
                }
            });
        })?;
        let desks = desks.into_iter().map(Mutex::into_inner);
        let desks = desks.map(|desk| desk.unwrap_or_else(PoisonError::into_inner));
        self.few.desks.put(&self.network, each, desks);
        Ok(self.told_if(finite.into_inner(), worked, Path::layered(lit)))
    }

    /// Tells how a prediction was made, unless its inputs are refused. Returns whether they are finite.
    fn told_if(&self, finite: bool, worked: usize, path: Path) -> bool {
        if finite {
            self.told.tell(worked, Some(path));
        }
        finite
    }

    /// One row: no product is large enough to be prepared for.
    fn predict_one(&mut self, x: Source<'_, T>) -> Result<Option<&[T]>, Error> {
        let lone = match &mut self.lone {
            Some(lone) => lone,
            none => none.insert(Lone::new(&self.network)?),
        };
        let isa = self.plan.isa;
        let (outputs, dark) = fpu::exact(|| lone.predict(isa, x));
        if outputs.is_some() {
            self.told.tell(1, Some(Path::online(dark)));
        }
        Ok(outputs)
    }

    /// Drops copies of the parameters that predictions have made: they are about to change, or have.
    pub(super) fn forget_copies(&mut self) {
        self.lone = None;
        self.few.shelf.clear();
    }

    /// Adds to `loss` the losses of some rows from `first` on, in their own order; also returns how
    /// many of them are classified rightly.
    ///
    /// # Errors
    /// Where the dataset is of another size or has fewer rows, or memory is short.
    pub fn evaluate(
        &self,
        data: &Dataset<T>,
        first: usize,
        rows: usize,
        loss: f64,
    ) -> Result<(f64, u64), Error> {
        self.check_sizes(data)?;
        let (expected, found) = (data.rows(), first.saturating_add(rows));
        if found > expected {
            return Err(Error::Length { what: "rows of the dataset", expected, found });
        }
        let network = &self.network;
        let mut scratch = Forward::new(network, rows)?;
        let (mut y, mut labels) =
            (zeros(checked_product(rows.min(TILE), network.n_out())?)?, zeros(rows.min(TILE))?);
        let mut losses = zeros(rows.min(TILE))?;
        let mut totals = Totals { loss, ..Totals::default() };
        let threads = self.threads();
        let ((), worked) = self.with_team(threads, |team| {
            for tile in Rows::Range(first, rows).tiles(TILE) {
                let rows = tile.len();
                let y = &mut y[..rows * network.n_out()];
                data.gather_by(team, tile, &mut scratch.a[0][..rows * network.n_in()], y);
                forward_behind(network, team, &mut scratch, rows, (0, None));
                let (answers, losses) =
                    ((&*y, data.labels(tile, &mut labels)), &mut losses[..rows]);
                totals.correct +=
                    judge(network, self.plan.isa, data, tile, &scratch, answers, losses);
                totals.add_losses(losses);
            }
        })?;
        self.told.tell(worked, None);
        Ok((totals.loss, totals.correct))
    }

    /// The sum of the rows' losses, and the gradient of their mean in flat order, without l2.
    ///
    /// # Errors
    /// Where the dataset is of another size, or memory is short.
    pub fn gradients(&self, data: &Dataset<T>) -> Result<(f64, Vec<T>), Error> {
        self.check_sizes(data)?;
        let mut workspace = Workspace::for_gradients(&self.network, data.rows())?;
        let mut totals = Totals::default();
        self.scratch.prepare(1)?;
        let team = Team { isa: self.plan.isa, crew: &Alone, scratch: &self.scratch };
        fpu::exact(|| {
            gradient(&self.network, &team, data, data.all(), &mut workspace, &mut totals);
        });
        Ok((totals.loss, self.network.flat_order(&workspace.g)?))
    }

    /// Runs `f` with so many threads. Also returns how many worked.
    fn with_team<R>(
        &self,
        threads: usize,
        f: impl FnOnce(&Team<'_, T>) -> R,
    ) -> Result<(R, usize), Error> {
        self.scratch.prepare(threads)?;
        Ok(pool::with(threads, |crew| {
            let team = Team { isa: self.plan.isa, crew, scratch: &self.scratch };
            fpu::exact(|| f(&team))
        }))
    }
}

/// Rows of `x` from `first` on, as many as there are outputs for. False, and nothing is written,
/// where an input is not finite. Where zeros are left out, `lit`, there are hidden layers; panels
/// may be there or not.
fn predict_tile<T: Real>(
    network: &Network<T>,
    team: &Team<'_, T>,
    (x, first): (Source<'_, T>, usize),
    (lit, panels): (bool, Option<&Panels<T>>),
    scratch: &mut Forward<T>,
    outputs: &mut [T],
) -> bool {
    let rows = outputs.len() / network.n_out();
    let finite = if lit {
        let packed = panels.and_then(|panels| panels.of(0));
        activate_lit(network, (team.isa, packed), (x, first), scratch, rows)
    } else {
        read(network, team, (x, first), scratch, rows)
    };
    if finite {
        forward_behind(network, team, scratch, rows, (usize::from(lit), panels));
        outputs.copy_from_slice(&scratch.a[scratch.a.len() - 1][..outputs.len()]);
    }
    finite
}

/// Copies rows of `x` from `first` on to the scratch. Returns whether all inputs are finite.
fn read<T: Real>(
    network: &Network<T>,
    team: &Team<'_, T>,
    (x, first): (Source<'_, T>, usize),
    scratch: &mut Forward<T>,
    rows: usize,
) -> bool {
    let (n_in, finite) = (network.n_in(), AtomicBool::new(true));
    team.fill_rows(&mut scratch.a[0][..rows * n_in], n_in, &|i, to| {
        if !x.read(team.isa, (first + i) * n_in, to) {
            finite.store(false, Ordering::Relaxed);
        }
    });
    finite.into_inner()
}

/// Takes rows of `x` from `first` on through the first layer, leaving out inputs that are 0.
/// Returns whether all inputs are finite.
fn activate_lit<T: Real>(
    network: &Network<T>,
    (isa, packed): (Isa, Option<&Packed<T>>),
    (x, first): (Source<'_, T>, usize),
    scratch: &mut Forward<T>,
    rows: usize,
) -> bool {
    let (layer, parameters) = (&network.layers()[0], network.parameters());
    let by = (parameters, packed);
    let (inputs, a) = scratch.a.split_at_mut(1);
    let a = &mut a[0][..rows * layer.n_out];
    // What is not finite makes every sum that it goes into so, whatever the weight: the inputs need a
    // look only where a sum has a reason for it.
    let x = x.part(first * layer.n_in, rows * layer.n_in);
    layer.product_lit(isa, by, x, a);
    if !elementwise::all_finite(isa, a) {
        // The look is at a copy, which then is what goes into the sums.
        let inputs = &mut inputs[0][..x.len()];
        x.copy(isa, 0, inputs);
        layer.product_lit(isa, by, Source::Values((&*inputs).into()), a);
        if !elementwise::all_finite(isa, a) && !elementwise::all_finite(isa, inputs) {
            return false;
        }
    }
    layer.activation.forward_with_bias(isa, a, &parameters[layer.biases()]);
    true
}

#[cfg(test)]
#[path = "run_tests.rs"]
mod tests;
