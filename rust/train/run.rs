//! Running a network without training it: predictions, losses, gradients.

use std::sync::atomic::Ordering;

use super::{Totals, Trainer, forward, gradient, judge};
use crate::data::{Dataset, Inputs, Rows};
use crate::error::Error;
use crate::kernels::gemm::{Alone, Team};
use crate::kernels::{Real, elementwise, fpu};
use crate::matrix::{checked_product, zeros};
use crate::pool;
use crate::workspace::{Forward, TILE, Workspace};

/// So many rows [`Trainer::predict_few`] takes.
pub const FEW: usize = 8;

impl<T: Real> Trainer<T> {
    /// The activations of the last layer, (rows, n_out), for inputs (rows, n_in).
    ///
    /// # Errors
    /// Where the length is wrong, an input is not finite, or memory is short.
    pub fn predict(&self, x: &Inputs<T>, rows: usize) -> Result<Vec<T>, Error> {
        let network = &self.network;
        let (n_in, n_out) = (network.n_in(), network.n_out());
        let (what, expected) = ("elements of x", checked_product(rows, n_in)?);
        if x.len() != expected {
            return Err(Error::Length { what, expected, found: x.len() });
        }
        x.check()?;
        let mut outputs = zeros(checked_product(rows, n_out)?)?;
        let mut scratch = Forward::new(network, rows)?;
        self.with_team(|team| {
            let tiles = Rows::Range(0, rows).tiles(TILE);
            for (tile, outputs) in tiles.zip(outputs.chunks_mut(TILE * n_out)) {
                let inputs = &mut scratch.a[0][..tile.len() * n_in];
                team.fill_rows(inputs, n_in, &|first, to| {
                    x.gather(tile.part(first, to.len() / n_in), n_in, &self.pixels, to);
                });
                forward(network, team, &mut scratch, tile.len());
                let a = &scratch.a[network.layers().len()];
                outputs.copy_from_slice(&a[..outputs.len()]);
            }
        })?;
        Ok(outputs)
    }

    /// The same for at most [`FEW`] rows (rows, n_in), on this thread and without allocating: into
    /// `outputs` (rows, n_out). False, and nothing is written, where an input is not finite.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`], the first time.
    ///
    /// # Panics
    /// Where the lengths do not belong together, or there are more rows.
    pub fn predict_few(&mut self, x: &[T], outputs: &mut [T]) -> Result<bool, Error> {
        let network = &self.network;
        let rows = x.len() / network.n_in();
        assert!(rows <= FEW && x.len() == rows * network.n_in(), "a few whole rows");
        let mut scratch = match self.few.take() {
            Some(scratch) => scratch,
            None => Forward::new(network, FEW)?,
        };
        self.scratch.prepare(1)?;
        let isa = self.plan.isa;
        let finite = elementwise::all_finite(isa, x);
        if finite {
            scratch.a[0][..x.len()].copy_from_slice(x);
            let team = Team { isa, crew: &Alone, scratch: &self.scratch };
            fpu::exact(|| forward(network, &team, &mut scratch, rows));
            let a = &scratch.a[network.layers().len()];
            outputs.copy_from_slice(&a[..rows * network.n_out()]);
            self.worked.store(1, Ordering::Relaxed);
        }
        self.few = Some(scratch);
        Ok(finite)
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
        self.with_team(|team| {
            for tile in Rows::Range(first, rows).tiles(TILE) {
                let rows = tile.len();
                let y = &mut y[..rows * network.n_out()];
                data.gather_by(team, tile, &mut scratch.a[0][..rows * network.n_in()], y);
                forward(network, team, &mut scratch, rows);
                let (answers, losses) =
                    ((&*y, data.labels(tile, &mut labels)), &mut losses[..rows]);
                totals.correct +=
                    judge(network, self.plan.isa, data, tile, &scratch, answers, losses);
                totals.add_losses(losses);
            }
        })?;
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

    /// Runs `f` with as many threads as are allowed.
    fn with_team(&self, f: impl FnOnce(&Team<'_, T>)) -> Result<(), Error> {
        self.scratch.prepare(self.threads())?;
        let ((), worked) = pool::with(self.threads(), |crew| {
            let team = Team { isa: self.plan.isa, crew, scratch: &self.scratch };
            fpu::exact(|| f(&team));
        });
        self.worked.store(worked, Ordering::Relaxed);
        Ok(())
    }
}
