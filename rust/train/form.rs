//! What the steps of a batch are done with, and the first layer where zeros are left out.

use super::Trainer;
use super::tiles::Tiles;
use crate::data::{Dataset, Rows};
use crate::error::Error;
use crate::first::First;
use crate::kernels::gemm::Team;
use crate::kernels::{Real, elementwise, fpu};
use crate::network::Network;
use crate::online::{Batch, Online};
use crate::optimizer::{Optimizer, State};
use crate::steps::{Steps, Totals, Trained};
use crate::workspace::{Forward, Workspace};

/// What the workers share: each product, or the tiles of a batch.
pub(super) enum Form<T> {
    Products(Workspace<T>),
    Tiles(Tiles<T>),
}

impl<T: Real> Trainer<T> {
    /// Takes the steps row by row; the arguments are those of [`Trainer::train`], checked.
    pub(super) fn train_online(
        &mut self,
        data: &Dataset<T>,
        steps: &Steps<'_>,
        totals: Totals,
    ) -> Result<Trained, Error> {
        // One form's scratch at a time.
        (self.workspace, self.tiles, self.batch) = (None, None, None);
        let velocity = !steps.optimizer.vectors().is_empty();
        let mut online = match self.online.take().filter(|online| online.fits(velocity)) {
            Some(online) => online,
            None => Online::new(&self.network, velocity)?,
        };
        self.state.prepare(&steps.optimizer, self.network.n_parameters())?;
        let Self { network, state, plan, .. } = self;
        let sparse = plan.path.is_sparse();
        let (isa, state) = (plan.isa, &mut *state);
        let trained = fpu::exact(|| online.train(network, state, isa, data, sparse, steps, totals));
        // What is not finite may stand in its padding too.
        self.online = trained.diverged.is_none().then_some(online);
        self.told.tell(1, Some(self.plan.path));
        Ok(trained)
    }

    /// The same by batches of a few rows.
    pub(super) fn train_few(
        &mut self,
        data: &Dataset<T>,
        steps: &Steps<'_>,
        totals: Totals,
    ) -> Result<Trained, Error> {
        (self.workspace, self.tiles, self.online) = (None, None, None);
        let (velocity, rows) = (!steps.optimizer.vectors().is_empty(), data.batch_size());
        let sparse = self.plan.path.is_sparse();
        let mut batch = match self.batch.take().filter(|batch| batch.fits(velocity, rows, sparse)) {
            Some(batch) => batch,
            None => Batch::new(&self.network, velocity, rows, sparse)?,
        };
        self.state.prepare(&steps.optimizer, self.network.n_parameters())?;
        let Self { network, state, plan, .. } = self;
        let (isa, state) = (plan.isa, &mut *state);
        let trained = fpu::exact(|| batch.train(network, state, isa, data, sparse, steps, totals));
        // As above.
        self.batch = trained.diverged.is_none().then_some(batch);
        self.told.tell(1, Some(self.plan.path));
        Ok(trained)
    }

    /// What is shared in batches of `rows` rows, with its scratch; there is one such at a time.
    pub(super) fn form(
        &mut self,
        data: &Dataset<T>,
        optimizer: &Optimizer,
        threads: usize,
    ) -> Result<Form<T>, Error> {
        let rows = data.batch_size();
        let (workspace, tiles) = (self.workspace.take(), self.tiles.take());
        let network = &self.network;
        let lists = data.lists().filter(|_| self.plan.path.is_sparse());
        Ok(if lists.is_none() && Tiles::pay(network, rows, threads) {
            Form::Tiles(match tiles.filter(|tiles| tiles.hold(rows, threads)) {
                Some(tiles) => tiles,
                None => Tiles::new(network, rows, threads)?,
            })
        } else {
            let mut workspace = match workspace.filter(|workspace| workspace.holds(rows)) {
                Some(workspace) => workspace,
                None => Workspace::new(network, rows)?,
            };
            workspace.first = match lists {
                Some(lists) => {
                    let velocity = !optimizer.vectors().is_empty();
                    let made = workspace.first.take();
                    Some(match made.filter(|made| made.fits(lists, velocity, rows)) {
                        Some(first) => first,
                        None => Box::new(First::new(&network.layers()[0], lists, velocity, rows)?),
                    })
                }
                None => None,
            };
            Form::Products(workspace)
        })
    }

    /// Keeps it for the next steps; the network has its weights again. Where it has `diverged`,
    /// what is not finite may stand in its padding too.
    pub(super) fn keep(&mut self, form: Form<T>, diverged: bool) {
        match form {
            Form::Products(mut workspace) => {
                if let Some(first) = &workspace.first {
                    first.store(self.network.parts().1, self.state.velocity_mut());
                }
                workspace.first = workspace.first.filter(|_| !diverged);
                self.workspace = Some(workspace);
            }
            Form::Tiles(tiles) => self.tiles = Some(tiles),
        }
    }
}

impl<T: Real> Form<T> {
    /// Takes over the weights of the first layer, where zeros of the inputs are left out.
    pub(super) fn load(&mut self, network: &Network<T>, state: &State<T>) {
        if let Self::Products(Workspace { first: Some(first), .. }) = self {
            first.load(network.parameters(), state.velocity());
        }
    }
}

/// Takes a tile through the first layer, leaving out inputs that are 0; only up to z where it is the last.
pub(super) fn forward_lit<T: Real>(
    network: &Network<T>,
    team: &Team<'_, T>,
    Forward { z, a }: &mut Forward<T>,
    (first, data, tile): (&mut First<T>, &Dataset<T>, Rows<'_>),
) {
    let (layers, isa) = (network.layers(), team.isa);
    let (layer, b) = (&layers[0], &network.parameters()[layers[0].biases()]);
    let a = &mut a[1][..tile.len() * layer.n_out];
    if layers.len() > 1 {
        first.forward(team, data, tile, a, &|z| layer.activation.forward_with_bias(isa, z, b));
    } else {
        let z = &mut z[..a.len()];
        first.forward(team, data, tile, z, &|z| elementwise::add(isa, z, b));
    }
}
