//! The way back through the layers (Eq. 24), and the step on the way.

use super::Trainer;
use crate::data::{Dataset, Rows};
use crate::kernels::gemm::Team;
use crate::kernels::{Isa, Real};
use crate::layer::Layer;
use crate::network::Network;
use crate::optimizer::Optimizer;
use crate::workspace::{Forward, Workspace};

impl<T: Real> Trainer<T> {
    /// From r of the last layer back to the first (Eq. 24), moving the parameters of each against
    /// their gradient (Eq. 5) once they have been met for dE/da of the layer before. Returns how many
    /// hidden units are saturated, and the first layer with a parameter that is no longer finite.
    ///
    /// Where there are `next` rows, the first layer takes them forward as its weights are moved: they, and their
    /// activations, stand in the place of this tile's.
    pub(super) fn descend(
        &mut self,
        team: &Team<'_, T>,
        data: &Dataset<T>,
        (tile, next): (Rows<'_>, Option<Rows<'_>>),
        (optimizer, rate): (&Optimizer, T),
        workspace: &mut Workspace<T>,
        first: bool,
    ) -> (u64, Option<usize>) {
        let rows = tile.len();
        let Workspace { forward: Forward { a, .. }, r, d, db, g, first: lit, ahead, .. } =
            workspace;
        let (mut saturated, mut diverged) = (0, None);
        let (layers, parameters) = self.network.parts();
        for (l, layer) in layers.iter().enumerate().rev() {
            let (here, after) = a.split_at_mut(l + 1);
            let (x, r_here) = (&here[l][..rows * layer.n_in], &r[..rows * layer.n_out]);
            let before = (!first).then_some(&g[..]);
            let (isa, db, state) = (team.isa, &mut db[..layer.n_out], &mut self.state);
            let biases =
                optimizer.step_biases(isa, rate, layer, r_here, before, db, parameters, state);
            let weights = if let (0, Some(lit)) = (l, &mut *lit) {
                lit.backward(team, data, tile, r_here, first, Some(optimizer.descent(rate)))
            } else {
                // A copy for the next rows: the vector that they stand in is lent to the step.
                db.copy_from_slice(&parameters[layer.biases()]);
                let descent =
                    &mut optimizer.descent_of_weights(rate, layer, before, parameters, state);
                match (layers[..l].last(), next) {
                    (Some(below), _) => {
                        let d = &mut d[..rows * layer.n_in];
                        let r_below = slope(isa, below, x);
                        let (count, finite) =
                            layer.back_and_descend(team, (x, r_here), descent, d, &r_below);
                        saturated += count;
                        finite
                    }
                    (None, Some(next)) => {
                        let next_x = &mut ahead.x[..rows * layer.n_in];
                        data.gather_inputs(team, next, next_x);
                        let next_a = &mut after[0][..rows * layer.n_out];
                        ahead.met = true;
                        layer.step_and_activate(team, (x, r_here), descent, db, (next_x, next_a))
                    }
                    (None, None) => layer.step(team, (x, r_here), descent),
                }
            };
            if !biases || !weights {
                diverged = Some(l);
            }
            std::mem::swap(r, d);
        }
        if ahead.met {
            let inputs = rows * layers[0].n_in;
            a[0][..inputs].copy_from_slice(&ahead.x[..inputs]);
        }
        (saturated, diverged)
    }
}

/// Whether the rows of the next batch meet the first layer's weights as a step by this one moves them: as many, and
/// so few that it pays, where there are no lists of them, and a hidden layer.
pub(super) fn is_met_ahead<T: Real>(
    network: &Network<T>,
    team: &Team<'_, T>,
    workspace: &Workspace<T>,
    (batch, next): (Rows<'_>, Rows<'_>),
) -> bool {
    let layers = network.layers();
    let dense = workspace.first.is_none() && layers.len() > 1;
    dense && next.len() == batch.len() && team.meets_ahead(batch.len(), layers[0].n_out)
}

/// From r of the last layer back to the first (Eq. 24): adds this tile's gradients to
/// `workspace.g`. Returns how many hidden units are saturated.
pub(super) fn backward<T: Real>(
    network: &Network<T>,
    team: &Team<'_, T>,
    data: &Dataset<T>,
    tile: Rows<'_>,
    workspace: &mut Workspace<T>,
    first: bool,
) -> u64 {
    let rows = tile.len();
    let Workspace { forward: Forward { a, .. }, r, d, g, first: lit, .. } = workspace;
    let (layers, parameters) = (network.layers(), network.parameters());
    let mut saturated = 0;
    for (l, layer) in layers.iter().enumerate().rev() {
        let (x, r_here) = (&a[l][..rows * layer.n_in], &r[..rows * layer.n_out]);
        if let (0, Some(lit)) = (l, &mut *lit) {
            lit.backward(team, data, tile, r_here, first, None);
        } else {
            layer.weight_gradients(team, x, r_here, g, first); // dE/dW = r a^T
        }
        layer.bias_gradients(team.isa, r_here, g, first); // dE/db = r
        if l > 0 {
            let d = &mut d[..rows * layer.n_in];
            let r_below = slope(team.isa, &layers[l - 1], x);
            // dE/da = W^T r, then r = sigma'(z) * dE/da
            saturated += layer.backward(team, parameters, r_here, d, &r_below);
        }
        std::mem::swap(r, d);
    }
    saturated
}

/// r = sigma'(z) * dE/da of a piece of a layer's rows, which begins so many elements from the start
/// of its activations. Returns how many of its units are saturated.
fn slope<T: Real>(isa: Isa, layer: &Layer, a: &[T]) -> impl Fn(&mut [T], usize) -> u64 {
    move |d, at| layer.activation.backward(isa, &a[at..at + d.len()], d, layer.n_out)
}
