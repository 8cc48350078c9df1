//! Every symbol of Eq. 24 for every row by itself: nothing is averaged.

use super::{Trainer, output, output_delta};
use crate::data::Dataset;
use crate::error::Error;
use crate::kernels::gemm::{Alone, Team};
use crate::kernels::memory::zeros;
use crate::kernels::{Real, fpu};
use crate::matrix::checked_product;
use crate::workspace::{TILE, Workspace};

/// What one layer made of each row; the first axis of every array is the row.
#[derive(Clone, Debug, PartialEq)]
pub struct LayerTrace<T> {
    /// How many inputs the layer has.
    pub n_in: usize,
    /// How many outputs it has.
    pub n_out: usize,
    /// z = W x + b, (n, n_out).
    pub z: Vec<T>,
    /// a = sigma(z), (n, n_out).
    pub a: Vec<T>,
    /// r = sigma'(z) * dE/da, (n, n_out).
    pub r: Vec<T>,
    /// dE/da, (n, n_out).
    pub de_da: Vec<T>,
    /// dE/dW = r a^T, (n, n_out, n_in).
    pub de_dw: Vec<T>,
    /// dE/db = r, (n, n_out).
    pub de_db: Vec<T>,
}

impl<T: Real> LayerTrace<T> {
    fn new(rows: usize, n_in: usize, n_out: usize) -> Result<Self, Error> {
        let elements = checked_product(rows, n_out)?;
        Ok(Self {
            n_in,
            n_out,
            z: zeros(elements)?,
            a: zeros(elements)?,
            r: zeros(elements)?,
            de_da: zeros(elements)?,
            de_dw: zeros(checked_product(elements, n_in)?)?,
            de_db: zeros(elements)?,
        })
    }

    /// Fills dE/dW and dE/db of some rows from r (rows, n_out) and the inputs x (rows, n_in).
    fn fill_gradients(&mut self, start: usize, r: &[T], x: &[T]) {
        let dw = &mut self.de_dw[start * self.n_out * self.n_in..];
        let db = &mut self.de_db[start * self.n_out..];
        // One chain of one product each, added to +0.0 (rule 4).
        let outputs = r.iter().zip(db).zip(dw.chunks_exact_mut(self.n_in)).enumerate();
        for (at, ((&r, db), dw)) in outputs {
            let row = at / self.n_out;
            for (dw, &x) in dw.iter_mut().zip(&x[row * self.n_in..]) {
                *dw = T::ZERO + r.mul_add(x, T::ZERO);
            }
            *db = T::ZERO + (r + T::ZERO);
        }
    }
}

impl<T: Real> Trainer<T> {
    /// Each row as a batch of one: what Eq. 24 has for it in every layer.
    ///
    /// # Errors
    /// Where the dataset is of another size, or memory is short.
    pub fn trace(&self, data: &Dataset<T>) -> Result<Vec<LayerTrace<T>>, Error> {
        self.check_sizes(data)?;
        let rows = data.rows();
        let layers = self.network.layers().iter();
        let mut traces = layers
            .map(|layer| LayerTrace::new(rows, layer.n_in, layer.n_out))
            .collect::<Result<Vec<_>, _>>()?;
        let mut workspace = Workspace::new(&self.network, rows.min(TILE))?;
        self.scratch.prepare(1)?;
        fpu::exact(|| {
            for start in (0..rows).step_by(TILE) {
                self.trace_tile(data, start, &mut workspace, &mut traces);
            }
        });
        Ok(traces)
    }

    /// The rows of one tile, which begins at row `start`.
    fn trace_tile(
        &self,
        data: &Dataset<T>,
        start: usize,
        workspace: &mut Workspace<T>,
        traces: &mut [LayerTrace<T>],
    ) {
        let (network, isa) = (&self.network, self.plan.isa);
        let tile = crate::data::Rows::Range(start, TILE.min(data.rows() - start));
        let rows = tile.len();
        let Workspace { forward: activations, y, r, d, .. } = workspace;
        let team = &Team { isa, crew: &Alone, scratch: &self.scratch };
        let y = &mut y[..rows * network.n_out()];
        data.gather(tile, &mut activations.a[0][..rows * network.n_in()], y);
        let parameters = network.parameters();
        for (l, (layer, trace)) in network.layers().iter().zip(&mut *traces).enumerate() {
            let at = start * layer.n_out..(start + rows) * layer.n_out;
            let (before, after) = activations.a.split_at_mut(l + 1);
            let (z, a) = (&mut trace.z[at.clone()], &mut after[0][..rows * layer.n_out]);
            layer.forward(team, (parameters, None), &before[l][..rows * layer.n_in], z);
            layer.activation.forward(isa, z, a, layer.n_out);
            trace.a[at].copy_from_slice(a);
        }

        output_delta(network, isa, activations, y, r, 1);
        let (_, a) = output(activations);
        for ((d, &a), &y) in d.iter_mut().zip(a).zip(&*y) {
            *d = network.loss().derivative(a, y);
        }
        let a = &activations.a;
        for (l, (layer, trace)) in network.layers().iter().zip(traces).enumerate().rev() {
            let (n_in, n_out) = (layer.n_in, layer.n_out);
            let at = start * n_out..(start + rows) * n_out;
            trace.r[at.clone()].copy_from_slice(&r[..rows * n_out]);
            trace.de_da[at].copy_from_slice(&d[..rows * n_out]);
            trace.fill_gradients(start, &r[..rows * n_out], &a[l]);
            if l > 0 {
                let d = &mut d[..rows * n_in];
                layer.backward(team, parameters, &r[..rows * n_out], d, &|_, _| 0); // dE/da = W^T r
                let r = &mut r[..rows * n_in];
                r.copy_from_slice(d);
                let activation = network.layers()[l - 1].activation;
                activation.backward(isa, &a[l][..rows * n_in], r, n_in);
            }
        }
    }
}
