//! A batch of many tiles, shared tile by tile: for networks whose products are too small to share.
//!
//! A worker takes a whole tile forward and back at a desk of its own, and leaves the tile's losses
//! and gradient in a slot of the tile's own. The slots are then added in the order of the tiles, as
//! if one worker had taken them one after the other.

use std::sync::{Mutex, MutexGuard, PoisonError};

use super::{Trainer, backward, run_tile};
use crate::data::{Dataset, Rows};
use crate::error::Error;
use crate::kernels::gemm::{Sole, Team};
use crate::kernels::memory::zeros;
use crate::kernels::{Real, elementwise};
use crate::network::Network;
use crate::optimizer::Optimizer;
use crate::steps::Totals;
use crate::workspace::{TILE, Workspace};

/// A network of more parameters has products that are better shared themselves.
const PARAMETERS: usize = 1 << 15;

/// The slots hold at most so many elements of gradients.
const ELEMENTS: usize = 1 << 20;

/// What the workers fill.
#[derive(Debug)]
pub(super) struct Tiles<T> {
    desks: Vec<Mutex<Workspace<T>>>,
    slots: Vec<Mutex<Slot<T>>>,
    /// The gradient of the batch's mean loss, in the order of the parameters.
    g: Vec<T>,
}

/// What a tile leaves.
#[derive(Debug)]
struct Slot<T> {
    g: Vec<T>,
    losses: Vec<T>,
    correct: u64,
    saturated: u64,
}

impl<T: Real> Tiles<T> {
    /// Whether batches of `rows` rows are better shared so.
    pub(super) fn pay(network: &Network<T>, rows: usize, workers: usize) -> bool {
        workers > 1 && rows > TILE && network.n_parameters() <= PARAMETERS
    }

    /// For so many workers.
    pub(super) fn new(network: &Network<T>, rows: usize, workers: usize) -> Result<Self, Error> {
        let slots = rows.div_ceil(TILE).min(ELEMENTS / network.n_parameters());
        let desk = |_| Ok(Mutex::new(Workspace::for_gradients(network, TILE)?));
        let slot = |_| Ok(Mutex::new(Slot::new(network)?));
        Ok(Self {
            desks: (0..workers).map(desk).collect::<Result<_, Error>>()?,
            slots: (0..slots).map(slot).collect::<Result<_, Error>>()?,
            g: zeros(network.n_parameters())?,
        })
    }

    /// Whether it does for so many workers and batches of `rows` rows.
    pub(super) fn hold(&self, rows: usize, workers: usize) -> bool {
        let slots = rows.div_ceil(TILE).min(ELEMENTS / self.g.len());
        self.desks.len() >= workers && self.slots.len() >= slots
    }
}

impl<T: Real> Slot<T> {
    fn new(network: &Network<T>) -> Result<Self, Error> {
        let (g, losses) = (zeros(network.n_parameters())?, zeros(TILE)?);
        Ok(Self { g, losses, correct: 0, saturated: 0 })
    }

    /// Takes a tile forward and back at a desk, which lends its room for gradient and losses.
    fn fill(
        &mut self,
        desk: &mut Workspace<T>,
        network: &Network<T>,
        team: &Team<'_, T>,
        data: &Dataset<T>,
        (tile, batch): (Rows<'_>, usize),
    ) {
        self.correct = run_tile(network, team, data, (tile, batch), desk);
        self.saturated = backward(network, team, data, tile, desk, true);
        std::mem::swap(&mut self.g, &mut desk.g);
        std::mem::swap(&mut self.losses, &mut desk.losses);
    }
}

impl<T: Real> Trainer<T> {
    /// One step, as [`Trainer::step`]. Beside the last of an epoch the rows of the next are sorted.
    pub(super) fn step_by_tiles(
        &mut self,
        team: &Team<'_, T>,
        data: &Dataset<T>,
        (batch, is_last): (Rows<'_>, bool),
        (optimizer, rate): (&Optimizer, T),
        Tiles { desks, slots, g }: &mut Tiles<T>,
        totals: &mut Totals,
    ) -> Option<usize> {
        let (network, tiles) = (&self.network, batch.len().div_ceil(TILE));
        let mut loss = 0.0;
        for first in (0..tiles).step_by(slots.len()) {
            let round = slots.len().min(tiles - first);
            // The longest comes first, so that the others fill what is left of the time.
            let beside = usize::from(is_last && first == 0);
            team.crew.share(beside + round, &|worker, number| {
                if number < beside {
                    return data.prepare_next();
                }
                let s = number - beside;
                let crew = &Sole(worker);
                let team = Team { crew, ..*team };
                let tile = batch.tile(first + s, TILE);
                let (mut desk, mut slot) = (lock(&desks[worker]), lock(&slots[s]));
                slot.fill(&mut desk, network, &team, data, (tile, batch.len()));
            });
            for (t, slot) in (first..first + round).zip(&mut *slots) {
                let slot = slot.get_mut().unwrap_or_else(PoisonError::into_inner);
                totals.correct += slot.correct;
                totals.saturated += slot.saturated;
                loss += totals.add_losses(&slot.losses[..batch.tile(t, TILE).len()]);
                if t == 0 {
                    g.copy_from_slice(&slot.g);
                } else {
                    elementwise::add(team.isa, g, &slot.g);
                }
            }
        }
        if !loss.is_finite() {
            return Some(network.layers().len() - 1);
        }
        let (layers, parameters) = self.network.parts();
        let mut diverged = None;
        for (l, layer) in layers.iter().enumerate().rev() {
            if !optimizer.descend(team.isa, rate, layer, g, parameters, &mut self.state) {
                diverged = Some(l);
            }
        }
        diverged
    }
}

/// What a panic left does not matter: all of it is written anew.
fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
#[path = "tiles_tests.rs"]
mod tests;
