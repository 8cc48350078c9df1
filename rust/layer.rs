//! One dense layer: where its parameters lie, and the products forward and backward.
//!
//! Weights are stored input-major, (n_in, n_out): the weights that one input meets lie side by
//! side, and so do the outputs that a product runs over.

use std::ops::Range;

use crate::activation::Activation;
use crate::error::Error;
use crate::kernels::foreign::Source;
use crate::kernels::gemm::{self, Descent, Packed, Team};
use crate::kernels::{Isa, Real, elementwise, reduce};
use crate::matrix::{MatMut, MatRef};

/// The network's parameters, and a layer's weights packed, where they are.
pub type Parameters<'a, T> = (&'a [T], Option<&'a Packed<T>>);

/// A dense layer; its parameters are a part of the network's one vector.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layer {
    /// How many inputs.
    pub n_in: usize,
    /// How many outputs.
    pub n_out: usize,
    /// What becomes of z.
    pub activation: Activation,
    start: usize,
}

impl Layer {
    /// A layer whose parameters begin at `start` of the vector.
    #[must_use]
    pub fn new(n_in: usize, n_out: usize, activation: Activation, start: usize) -> Self {
        Self { n_in, n_out, activation, start }
    }

    /// Where its weights (n_in, n_out) lie, input by input.
    #[must_use]
    pub fn weights(&self) -> Range<usize> {
        self.start..self.start + self.n_in * self.n_out
    }

    /// Where its biases (n_out,) lie: behind the weights.
    #[must_use]
    pub fn biases(&self) -> Range<usize> {
        let start = self.weights().end;
        start..start + self.n_out
    }

    /// z = W x + b for each row: x (rows, n_in), z (rows, n_out).
    pub fn forward<T: Real>(
        &self,
        team: &Team<'_, T>,
        by: Parameters<'_, T>,
        x: &[T],
        z: &mut [T],
    ) {
        self.product(team, by, x, z, &|isa, z, b| elementwise::add(isa, z, b));
    }

    /// a = sigma(W x + b) for each row of a hidden layer, which has no need of z.
    pub fn activate<T: Real>(
        &self,
        team: &Team<'_, T>,
        by: Parameters<'_, T>,
        x: &[T],
        a: &mut [T],
    ) {
        let sigma = self.activation;
        self.product(team, by, x, a, &|isa, z, b| sigma.forward_with_bias(isa, z, b));
    }

    /// W x for each row, on this thread, for rows that are mostly 0.
    pub fn product_lit<T: Real>(
        &self,
        isa: Isa,
        (parameters, packed): Parameters<'_, T>,
        x: Source<'_, T>,
        z: &mut [T],
    ) {
        gemm::product_lit(isa, x, self.matrix(parameters), packed, z);
    }

    /// W x for each row (Eq. 6), then `with_bias` for pieces of rows, or whole ones, beside their
    /// biases.
    fn product<T: Real>(
        &self,
        team: &Team<'_, T>,
        (parameters, packed): Parameters<'_, T>,
        x: &[T],
        z: &mut [T],
        with_bias: &(impl Fn(Isa, &mut [T], &[T]) + Sync),
    ) {
        let rows = z.len() / self.n_out;
        let x = MatRef::new(x, rows, self.n_in);
        let (w, b) = (self.matrix(parameters), &parameters[self.biases()]);
        team.product_with(x, w, packed, &mut MatMut::new(z, rows, self.n_out), &|z, _, j| {
            with_bias(team.isa, z, &b[j..b.len().min(j + z.len())]);
            0
        });
    }

    /// W packed for many products.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`].
    pub fn packed<T: Real>(
        &self,
        team: &Team<'_, T>,
        parameters: &[T],
    ) -> Result<Packed<T>, Error> {
        Packed::new(team, self.matrix(parameters))
    }

    /// W as it lies, (n_in, n_out).
    fn matrix<'a, T: Real>(&self, parameters: &'a [T]) -> MatRef<'a, T> {
        MatRef::new(&parameters[self.weights()], self.n_in, self.n_out)
    }

    /// Adds dE/dW of at most 256 rows to the flat gradient `g`; to +0.0 where they are the `first`
    /// of the batch. x (rows, n_in), r (rows, n_out).
    pub fn weight_gradients<T: Real>(
        &self,
        team: &Team<'_, T>,
        x: &[T],
        r: &[T],
        g: &mut [T],
        first: bool,
    ) {
        let (x, r) = self.rows(x, r);
        let mut dw = MatMut::new(&mut g[self.weights()], self.n_in, self.n_out);
        team.accumulate(x.transposed(), r, &mut dw, first); // Eq. 24: dE/dW = r a^T
    }

    /// The same for dE/db.
    pub fn bias_gradients<T: Real>(&self, isa: Isa, r: &[T], g: &mut [T], first: bool) {
        let r = MatRef::new(r, r.len() / self.n_out, self.n_out);
        reduce::column_sums(isa, r, &mut g[self.biases()], first); // Eq. 24: dE/db = r
    }

    /// Inputs (rows, n_in) and r (rows, n_out).
    pub(crate) fn rows<'a, T: Real>(
        &self,
        x: &'a [T],
        r: &'a [T],
    ) -> (MatRef<'a, T>, MatRef<'a, T>) {
        let rows = r.len() / self.n_out;
        (MatRef::new(x, rows, self.n_in), MatRef::new(r, rows, self.n_out))
    }

    /// Moves its weights by at most 256 rows, the last of a batch: x (rows, n_in), r (rows, n_out).
    /// Returns whether the new weights are finite.
    pub fn step<T: Real>(
        &self,
        team: &Team<'_, T>,
        (x, r): (&[T], &[T]),
        descent: &mut Descent<'_, T>,
    ) -> bool {
        let (x, r) = self.rows(x, r);
        team.descend(x.transposed(), r, descent) // Eq. 24, Eq. 5: W moves against dE/dW = r a^T
    }

    /// The same, and then [`Self::activate`] of the `next` rows, as many, in one pass over W: x (rows, n_in),
    /// a (rows, n_out); by the biases as they are then.
    pub fn step_and_activate<T: Real>(
        &self,
        team: &Team<'_, T>,
        (x, r): (&[T], &[T]),
        descent: &mut Descent<'_, T>,
        biases: &[T],
        (next, a): (&[T], &mut [T]),
    ) -> bool {
        let ((x, r), rows) = (self.rows(x, r), r.len() / self.n_out);
        let (next, mut a) = (MatRef::new(next, rows, self.n_in), MatMut::new(a, rows, self.n_out));
        team.descend_and_meet((x, r), descent, next, &mut a, &|z, j| {
            self.activation.forward_with_bias(team.isa, z, &biases[j..j + z.len()]);
        })
    }

    /// [`Self::backward`] and then [`Self::step`] (Eq. 24, Eq. 5), in one pass over W where that is quicker.
    /// Returns what both return.
    pub fn back_and_descend<T: Real>(
        &self,
        team: &Team<'_, T>,
        (x, r): (&[T], &[T]),
        descent: &mut Descent<'_, T>,
        d: &mut [T],
        finish: &(impl Fn(&mut [T], usize) -> u64 + Sync),
    ) -> (u64, bool) {
        let ((x, r), n_in) = (self.rows(x, r), self.n_in);
        let mut d = MatMut::new(d, r.rows(), n_in);
        team.back_and_descend((x, r), descent, &mut d, &|d, i, j| finish(d, i * n_in + j))
    }

    /// dE/da of the layer before, (rows, n_in), from r (rows, n_out); `finish` makes r of a piece
    /// of it, which begins so many elements from the start. Returns the sum of what that returns.
    pub fn backward<T: Real>(
        &self,
        team: &Team<'_, T>,
        parameters: &[T],
        r: &[T],
        d: &mut [T],
        finish: &(impl Fn(&mut [T], usize) -> u64 + Sync),
    ) -> u64 {
        let rows = r.len() / self.n_out;
        let r = MatRef::new(r, rows, self.n_out);
        let (w, n_in) = (self.matrix(parameters).transposed(), self.n_in);
        let mut d = MatMut::new(d, rows, n_in);
        team.product(r, w, &mut d, &|d, i, j| finish(d, i * n_in + j)) // Eq. 24: dE/da = W^T r
    }
}

#[cfg(test)]
mod tests {
    use super::Layer;
    use crate::activation::Activation;
    use crate::kernels::Isa;
    use crate::kernels::gemm::{Alone, Scratch, Team};

    /// Two inputs, three outputs, one row; worked out by hand.
    #[test]
    fn forward_and_backward_by_hand() {
        let layer = Layer::new(2, 3, Activation::Relu, 1);
        assert_eq!((layer.weights(), layer.biases()), (1..7, 7..10));
        // W = [[1, 4], [2, 5], [-3, 6]], input-major; b = [1, 0, -1]; the first element is unused.
        let parameters = [99.0, 1.0, 2.0, -3.0, 4.0, 5.0, 6.0, 1.0, 0.0, -1.0];
        let x = [2.0, 0.5];
        for isa in Isa::available() {
            let scratch = Scratch::new();
            scratch.prepare(1).unwrap();
            let team = &Team { isa, crew: &Alone, scratch: &scratch };
            let (mut z, mut a) = ([0.0; 3], [0.0; 3]);
            let packed = layer.packed(team, &parameters).unwrap();
            for packed in [None, Some(&packed)] {
                layer.forward(team, (&parameters, packed), &x, &mut z);
                layer.activate(team, (&parameters, packed), &x, &mut a);
                assert_eq!(z, [5.0, 6.5, -4.0]);
                assert_eq!(a, [5.0, 6.5, 0.0]);
            }

            let r = [1.0, -2.0, 4.0];
            let mut g = [7.0; 10];
            layer.weight_gradients(team, &x, &r, &mut g, true);
            layer.bias_gradients(isa, &r, &mut g, true);
            assert_eq!(g, [7.0, 2.0, -4.0, 8.0, 0.5, -1.0, 2.0, 1.0, -2.0, 4.0]);
            layer.weight_gradients(team, &x, &r, &mut g, false);
            layer.bias_gradients(isa, &r, &mut g, false);
            assert_eq!(g, [7.0, 4.0, -8.0, 16.0, 1.0, -2.0, 4.0, 2.0, -4.0, 8.0]);

            let mut d = [0.0; 2];
            let count = layer.backward(team, &parameters, &r, &mut d, &|d, at| {
                assert_eq!((d.len(), at), (2, 0));
                5
            });
            assert_eq!((d, count), ([1.0 - 4.0 - 12.0, 4.0 - 10.0 + 24.0], 5));
        }
    }
}
