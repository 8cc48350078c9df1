//! What predictions of several rows are made with, kept from call to call.
//!
//! Several threads may predict at a time. None waits for another: what is in use is made anew, or
//! done without, so that a process that was forked meanwhile does so for ever.

use std::sync::{Arc, Mutex, PoisonError};

use crate::error::Error;
use crate::kernels::Real;
use crate::kernels::gemm::{MAX_WORKERS, Packed, Team, unlocked};
use crate::layer::Layer;
use crate::network::Network;
use crate::plan::{self, APART_ROWS};
use crate::workspace::Forward;

/// All of it.
#[derive(Debug)]
pub(super) struct Few<T> {
    pub(super) shelf: Shelf<T>,
    pub(super) desks: Desks<T>,
    /// (rows, n_out), of the most rows so far.
    pub(super) outputs: Vec<T>,
}

impl<T: Real> Few<T> {
    pub(super) fn new() -> Self {
        let (shelf, desks) = (Shelf(Mutex::new(Kept::NONE)), Desks(Mutex::new(Vec::new())));
        Self { shelf, desks, outputs: Vec::new() }
    }
}

/// A copy of the weights, packed as products read them, by layers. None of a layer that has few
/// outputs.
#[derive(Debug)]
pub(super) struct Panels<T>(Vec<Option<Packed<T>>>);

/// Of fewer outputs, filled up to whole registers, a copy would take more than twice the memory.
const PACKED_OUTPUTS: usize = 8;

impl<T: Real> Panels<T> {
    fn new(network: &Network<T>, team: &Team<'_, T>) -> Result<Self, Error> {
        let packed = |layer: &Layer| {
            let wanted = layer.n_out >= PACKED_OUTPUTS;
            wanted.then(|| layer.packed(team, network.parameters())).transpose()
        };
        network.layers().iter().map(packed).collect::<Result<_, _>>().map(Self)
    }

    /// Those of a layer, if there are any.
    pub(super) fn of(&self, layer: usize) -> Option<&Packed<T>> {
        self.0[layer].as_ref()
    }
}

/// Where panels are kept.
#[derive(Debug)]
pub(super) struct Shelf<T>(Mutex<Kept<T>>);

#[derive(Debug)]
struct Kept<T> {
    panels: Option<Arc<Panels<T>>>,
    /// Whether rows have met the parameters as they are.
    met: bool,
}

impl<T> Kept<T> {
    const NONE: Self = Self { panels: None, met: false };
}

impl<T: Real> Shelf<T> {
    /// The panels of a network for `rows` rows. None where the parameters may change before the next
    /// rows come, so that packing does not pay, where another call is at it, or memory is short.
    pub(super) fn panels(
        &self,
        network: &Network<T>,
        team: &Team<'_, T>,
        rows: usize,
    ) -> Option<Arc<Panels<T>>> {
        if rows < 2 {
            return None;
        }
        let mut kept = unlocked(&self.0)?;
        // More rows than two tiles would pack the weights several times.
        if kept.panels.is_none() && (kept.met || rows > 2 * plan::apart_rows(network)) {
            kept.panels = Panels::new(network, team).ok().map(Arc::new);
        }
        kept.met = true;
        kept.panels.clone()
    }

    /// Whether rows have met the parameters as they are; from now on they have.
    pub(super) fn meet(&mut self) -> bool {
        let kept = self.0.get_mut().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut kept.met, true)
    }

    /// Whether there are panels, as far as nobody is at them.
    #[cfg(any(test, feature = "python"))]
    pub(super) fn is_filled(&self) -> bool {
        unlocked(&self.0).is_some_and(|kept| kept.panels.is_some())
    }

    /// Takes them down: the parameters change.
    pub(super) fn clear(&mut self) {
        *self.0.get_mut().unwrap_or_else(PoisonError::into_inner) = Kept::NONE;
    }
}

/// So many elements of a worker's scratch are kept at most: that of a wider network is made for the
/// rows at hand.
const SCRATCH: usize = 1 << 20;

/// For how many rows scratch is kept that does for `rows`, if it is: for as many as a worker takes at
/// most, or as it takes of a narrower network.
fn kept_rows<T: Real>(network: &Network<T>, rows: usize) -> Option<usize> {
    let widths = network.n_in() + network.layers().iter().map(|layer| layer.n_out).sum::<usize>();
    let fits = |&most: &usize| rows <= most && widths.saturating_mul(most) <= SCRATCH;
    [plan::apart_rows(network), APART_ROWS].into_iter().find(fits)
}

/// Scratch of workers, all for as many rows.
#[derive(Debug)]
pub(super) struct Desks<T>(Mutex<Vec<Forward<T>>>);

impl<T: Real> Desks<T> {
    /// Scratch for `rows` rows.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`].
    pub(super) fn take(&self, network: &Network<T>, rows: usize) -> Result<Forward<T>, Error> {
        let Some(most) = kept_rows(network, rows) else { return Forward::new(network, rows) };
        let kept = unlocked(&self.0).and_then(|mut desks| desks.pop());
        kept.map_or_else(|| Forward::new(network, most), Ok)
    }

    /// Gives back what was taken for as many rows.
    pub(super) fn put(
        &self,
        network: &Network<T>,
        rows: usize,
        desks: impl IntoIterator<Item = Forward<T>>,
    ) {
        if kept_rows(network, rows).is_some()
            && let Some(mut kept) = unlocked(&self.0)
        {
            kept.extend(desks);
            kept.truncate(MAX_WORKERS);
        }
    }
}
