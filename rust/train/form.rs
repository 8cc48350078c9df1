//! What the steps of a batch are done with, and the first layer where zeros are left out.

use super::Trainer;
use super::tiles::Tiles;
use crate::data::{Dataset, Lists, Rows};
use crate::error::Error;
use crate::first::First;
use crate::kernels::gemm::Team;
use crate::kernels::{Real, elementwise};
use crate::network::Network;
use crate::workspace::{Forward, Workspace};

/// What the workers share: each product, or the tiles of a batch.
pub(super) enum Form<T> {
    Products(Workspace<T>),
    Tiles(Tiles<T>),
}

impl<T: Real> Trainer<T> {
    /// What is shared in batches of `rows` rows, with its scratch; there is one such at a time.
    pub(super) fn form(&mut self, data: &Dataset<T>) -> Result<Form<T>, Error> {
        let rows = data.batch_size();
        let (workspace, tiles) = (self.workspace.take(), self.tiles.take());
        let (network, threads) = (&self.network, self.threads());
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
                Some(lists) => Some(self.first_layer(workspace.first.take(), lists, rows)?),
                None => None,
            };
            Form::Products(workspace)
        })
    }

    /// Keeps it for the next steps; the network has its weights again.
    pub(super) fn keep(&mut self, form: Form<T>) {
        match form {
            Form::Products(workspace) => {
                if let Some(first) = &workspace.first {
                    first.store(self.network.parts().1, self.state.velocity_mut());
                }
                self.workspace = Some(workspace);
            }
            Form::Tiles(tiles) => self.tiles = Some(tiles),
        }
    }

    /// The first layer with its weights, where zeros of the inputs are left out.
    fn first_layer(
        &self,
        made: Option<Box<First<T>>>,
        lists: &Lists<T>,
        rows: usize,
    ) -> Result<Box<First<T>>, Error> {
        let velocity = self.state.velocity();
        let velocity_too = velocity.is_some();
        let layer = &self.network.layers()[0];
        let mut first = match made.filter(|made| made.fits(lists, velocity_too, rows)) {
            Some(first) => first,
            None => Box::new(First::new(layer, lists, velocity_too, rows)?),
        };
        first.load(self.network.parameters(), velocity);
        Ok(first)
    }
}

/// Takes a tile through the first layer, leaving out inputs that are 0.
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
        layer.activation.forward(isa, z, a, layer.n_out);
    }
}
