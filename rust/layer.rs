//! One dense layer: where its parameters lie, and the products forward and backward.
//!
//! Weights are stored input-major, (n_in, n_out): the weights that one input meets lie side by
//! side, and so do the outputs that a product runs over.

use std::ops::Range;

use crate::activation::Activation;
use crate::kernels::{Isa, Real, elementwise, gemm, reduce};
use crate::matrix::{MatMut, MatRef};

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

    /// z = W x + b and a = sigma(z) for each row: x (rows, n_in), z and a (rows, n_out).
    pub fn forward<T: Real>(&self, isa: Isa, parameters: &[T], x: &[T], z: &mut [T], a: &mut [T]) {
        let rows = z.len() / self.n_out;
        let x = MatRef::new(x, rows, self.n_in);
        let w = MatRef::new(&parameters[self.weights()], self.n_in, self.n_out);
        gemm::product(isa, x, w, &mut MatMut::new(z, rows, self.n_out));
        elementwise::add_to_rows(isa, z, &parameters[self.biases()]); // Eq. 6: z = W x + b
        self.activation.forward(isa, z, a, self.n_out); // Eq. 7: a = sigma(z)
    }

    /// Adds dE/dW and dE/db of at most 256 rows to the flat gradient `g`; to +0.0 where they are
    /// the `first` of the batch. x (rows, n_in), r (rows, n_out).
    pub fn gradients<T: Real>(&self, isa: Isa, x: &[T], r: &[T], g: &mut [T], first: bool) {
        let rows = r.len() / self.n_out;
        let x = MatRef::new(x, rows, self.n_in);
        let r = MatRef::new(r, rows, self.n_out);
        let mut dw = MatMut::new(&mut g[self.weights()], self.n_in, self.n_out);
        gemm::accumulate(isa, x.transposed(), r, &mut dw, first); // Eq. 24: dE/dW = r a^T
        reduce::column_sums(isa, r, &mut g[self.biases()], first); // Eq. 24: dE/db = r
    }

    /// dE/da of the layer before, (rows, n_in), from r (rows, n_out) and W (n_out, n_in).
    pub fn backward<T: Real>(&self, isa: Isa, transposed: &[T], r: &[T], d: &mut [T]) {
        let rows = r.len() / self.n_out;
        let r = MatRef::new(r, rows, self.n_out);
        let w = MatRef::new(transposed, self.n_out, self.n_in);
        gemm::product(isa, r, w, &mut MatMut::new(d, rows, self.n_in)); // Eq. 24: dE/da = W^T r
    }
}

#[cfg(test)]
mod tests {
    use super::Layer;
    use crate::activation::Activation;
    use crate::kernels::Isa;

    /// Two inputs, three outputs, one row; worked out by hand.
    #[test]
    fn forward_and_backward_by_hand() {
        let layer = Layer::new(2, 3, Activation::Relu, 1);
        assert_eq!((layer.weights(), layer.biases()), (1..7, 7..10));
        // W = [[1, 4], [2, 5], [-3, 6]], input-major; b = [1, 0, -1]; the first element is unused.
        let parameters = [99.0, 1.0, 2.0, -3.0, 4.0, 5.0, 6.0, 1.0, 0.0, -1.0];
        let x = [2.0, 0.5];
        for isa in Isa::available() {
            let (mut z, mut a) = ([0.0; 3], [0.0; 3]);
            layer.forward(isa, &parameters, &x, &mut z, &mut a);
            assert_eq!(z, [5.0, 6.5, -4.0]);
            assert_eq!(a, [5.0, 6.5, 0.0]);

            let r = [1.0, -2.0, 4.0];
            let mut g = [7.0; 10];
            layer.gradients(isa, &x, &r, &mut g, true);
            assert_eq!(g, [7.0, 2.0, -4.0, 8.0, 0.5, -1.0, 2.0, 1.0, -2.0, 4.0]);
            layer.gradients(isa, &x, &r, &mut g, false);
            assert_eq!(g, [7.0, 4.0, -8.0, 16.0, 1.0, -2.0, 4.0, 2.0, -4.0, 8.0]);

            let transposed = [1.0, 4.0, 2.0, 5.0, -3.0, 6.0];
            let mut d = [0.0; 2];
            layer.backward(isa, &transposed, &r, &mut d);
            assert_eq!(d, [1.0 - 4.0 - 12.0, 4.0 - 10.0 + 24.0]);
        }
    }
}
