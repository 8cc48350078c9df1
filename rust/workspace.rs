//! All scratch of training and of running, allocated once.

use crate::error::Error;
use crate::first::First;
use crate::kernels::gemm::ahead;
use crate::kernels::memory::zeros;
use crate::kernels::{Real, gemm};
use crate::matrix::checked_product;
use crate::network::Network;

/// At most so many rows are worked on at a time: one block of rule 1, so that the gradients of the
/// tiles of a batch add up in canonical order.
pub const TILE: usize = gemm::BLOCK;

/// What the way forward fills for a tile of rows.
#[derive(Clone, Debug)]
pub struct Forward<T> {
    /// z of the last layer, (rows, n_out): hidden layers have no need of theirs.
    pub z: Vec<T>,
    /// The inputs (rows, n_in), then the activations of each layer, (rows, n_out); the last layer's only
    /// where something asks for them.
    pub a: Vec<Vec<T>>,
}

impl<T: Real> Forward<T> {
    /// Scratch for `rows` rows, at most [`TILE`].
    ///
    /// # Errors
    /// [`Error::OutOfMemory`].
    pub fn new(network: &Network<T>, rows: usize) -> Result<Self, Error> {
        let matrix = |columns| zeros(checked_product(rows.min(TILE), columns)?);
        let sizes = || network.layers().iter().map(|layer| layer.n_out);
        Ok(Self {
            z: matrix(network.n_out())?,
            a: std::iter::once(network.n_in())
                .chain(sizes())
                .map(matrix)
                .collect::<Result<_, _>>()?,
        })
    }
}

/// The rows of the next batch, which meet the first layer's weights when a step moves these.
#[derive(Clone, Debug)]
pub struct Ahead<T> {
    /// Their inputs, (rows, n_in), of at most [`ahead::ROWS`].
    pub x: Vec<T>,
    /// Whether they have: then their inputs stand in `forward.a[0]`, and their activations in
    /// `forward.a[1]`.
    pub met: bool,
}

/// What forward, loss and backward fill.
#[derive(Clone, Debug)]
pub struct Workspace<T> {
    /// The way forward.
    pub forward: Forward<T>,
    /// What the rows should become, (rows, n_out), where labels alone do not do.
    pub y: Vec<T>,
    /// The labels of the rows, where they have any, (rows,).
    pub labels: Vec<u32>,
    /// E of each row, (rows,).
    pub losses: Vec<T>,
    /// r of the layer at hand, (rows, n_out).
    pub r: Vec<T>,
    /// dE/da of the layer before it, (rows, n_in).
    pub d: Vec<T>,
    /// dE/db of the layer at hand, (n_out,).
    pub db: Vec<T>,
    /// The gradient of the batch's mean loss, in the order of the parameters; empty where a batch
    /// is one tile, for then no gradient is written down.
    pub g: Vec<T>,
    /// The first layer at work, where zeros of the inputs are left out.
    pub first: Option<Box<First<T>>>,
    /// The next rows, where they are met ahead.
    pub ahead: Ahead<T>,
    rows: usize,
}

impl<T: Real> Workspace<T> {
    /// Scratch for training by batches of `rows` rows.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`].
    pub fn new(network: &Network<T>, rows: usize) -> Result<Self, Error> {
        let g = if rows > TILE { network.n_parameters() } else { 0 };
        let rows = rows.min(TILE + 1);
        Self::with(network, rows, g)
    }

    /// Scratch for the gradient, written down, of `rows` rows.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`].
    pub fn for_gradients(network: &Network<T>, rows: usize) -> Result<Self, Error> {
        Self::with(network, rows, network.n_parameters())
    }

    fn with(network: &Network<T>, batch: usize, g: usize) -> Result<Self, Error> {
        let rows = batch.min(TILE);
        let widest = network.layers().iter().map(|layer| layer.n_out).max().unwrap_or(0);
        Ok(Self {
            forward: Forward::new(network, rows)?,
            y: zeros(checked_product(rows, network.n_out())?)?,
            labels: zeros(rows)?,
            losses: zeros(rows)?,
            r: zeros(checked_product(rows, widest)?)?,
            d: zeros(checked_product(rows, widest)?)?,
            db: zeros(widest)?,
            g: zeros(g)?,
            first: None,
            ahead: Ahead {
                x: zeros(checked_product(rows.min(ahead::ROWS), network.n_in())?)?,
                met: false,
            },
            rows: batch,
        })
    }

    /// Whether it does for batches of `rows` rows.
    #[must_use]
    pub fn holds(&self, rows: usize) -> bool {
        self.rows >= rows.min(TILE + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::{TILE, Workspace};
    use crate::activation::Activation;
    use crate::loss::Loss;
    use crate::network::Network;

    #[test]
    fn it_is_bounded_by_a_tile() {
        let activations = [Activation::Tanh; 2];
        let network = Network::<f32>::new(&[5, 4, 3], &activations, Loss::SquaredError).unwrap();
        let small = Workspace::new(&network, 7).unwrap();
        assert!(small.holds(7) && small.holds(1) && !small.holds(8));
        assert_eq!(small.g, [0.0; 0]);
        let tile = Workspace::new(&network, TILE).unwrap();
        assert!(tile.holds(TILE) && !tile.holds(TILE + 1));
        let large = Workspace::new(&network, 1_000_000).unwrap();
        assert!(large.holds(usize::MAX));
        assert_eq!(large.forward.a.iter().map(Vec::len).sum::<usize>(), TILE * (5 + 4 + 3));
        assert_eq!((large.y.len(), large.r.len(), large.d.len()), (TILE * 3, TILE * 4, TILE * 4));
        assert_eq!((large.db.len(), large.g.len()), (4, 24 + 15));
        let gradients = Workspace::for_gradients(&network, 7).unwrap();
        assert_eq!((gradients.r.len(), gradients.g.len()), (7 * 4, 24 + 15));
    }
}
