//! One layer of the online form.

use crate::activation::{Activation, SATURATED};
use crate::error::Error;
use crate::kernels::lines::{self, Line, Lines};
use crate::kernels::memory::zeros;
use crate::kernels::rows::{self, BLOCK, Bound, Descent};
use crate::kernels::{Isa, Real, few, reduce, tiny};
use crate::layer::Layer;
use crate::matrix::checked_product;

/// What a layer's weights are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// The first layer: its inputs may be listed by block, and have no gradient.
    First,
    /// A layer behind it, both ways.
    Behind,
    /// Any layer, the way forward only.
    Forward,
}

/// A layer's parameters in lines, each with its velocity or an empty one, and its scratch.
#[derive(Clone, Debug)]
pub(super) struct Part<T> {
    pub(super) n_in: usize,
    pub(super) n_out: usize,
    pub(super) activation: Activation,
    /// W (n_in, lines of n_out); of [`Place::First`] whole blocks of rows.
    pub(super) w: Vec<Line<T>>,
    pub(super) v: Vec<Line<T>>,
    /// W (n_out, lines of n_in); of [`Place::Behind`] only.
    pub(super) transposed: Vec<Line<T>>,
    pub(super) v_transposed: Vec<Line<T>>,
    pub(super) biases: Vec<Line<T>>,
    v_biases: Vec<Line<T>>,
    /// 1 for each output in the last line, and 0 for its padding.
    pub(super) mask: Line<T>,
    /// z, a and r, each (rows, lines of n_out).
    pub(super) z: Vec<Line<T>>,
    pub(super) a: Vec<Line<T>>,
    pub(super) r: Vec<Line<T>>,
}

impl<T: Real> Part<T> {
    /// Room for a layer and for so many rows at a time.
    pub(super) fn new(
        layer: &Layer,
        place: Place,
        velocity: bool,
        rows: usize,
    ) -> Result<Self, Error> {
        let (n_in, n_out) = (layer.n_in, layer.n_out);
        let count = lines::lines(n_out);
        let inputs = if place == Place::First { n_in.next_multiple_of(BLOCK) } else { n_in };
        let transposed = match place {
            Place::Behind => checked_product(n_out, lines::lines(n_in))?,
            Place::First | Place::Forward => 0,
        };
        let weights = checked_product(inputs, count)?;
        let scratch = checked_product(rows, count)?;
        let mut mask = Line([T::ONE; lines::LINE]);
        mask.0[n_out - (count - 1) * lines::LINE..].fill(T::ZERO);
        let velocity = |count| zeros(if velocity { count } else { 0 });
        Ok(Self {
            n_in,
            n_out,
            activation: layer.activation,
            w: zeros(weights)?,
            v: velocity(weights)?,
            transposed: zeros(transposed)?,
            v_transposed: velocity(transposed)?,
            biases: zeros(count)?,
            v_biases: velocity(count)?,
            mask,
            z: zeros(scratch)?,
            a: zeros(scratch)?,
            r: zeros(scratch)?,
        })
    }

    pub(super) fn has_velocity(&self) -> bool {
        !self.v.is_empty()
    }

    /// Takes over a layer's parameters and velocities from the network's vectors.
    pub(super) fn load(&mut self, layer: &Layer, parameters: &[T], velocity: Option<&[T]>) {
        let (n_in, n_out) = (self.n_in, self.n_out);
        let copy = |vector: &[T], w: &mut [Line<T>], t: &mut [Line<T>], b: &mut [Line<T>]| {
            let weights = vector[layer.weights()].chunks_exact(n_out);
            let lines = lines::lines(n_out);
            for (from, to) in weights.clone().zip(w.chunks_exact_mut(lines)) {
                lines::flat_mut(to)[..n_out].copy_from_slice(from);
            }
            if !t.is_empty() {
                let (t, stride) = (lines::flat_mut(t), lines::lines(n_in) * lines::LINE);
                for (i, from) in weights.enumerate() {
                    for (j, &from) in from.iter().enumerate() {
                        t[j * stride + i] = from;
                    }
                }
            }
            lines::flat_mut(b)[..n_out].copy_from_slice(&vector[layer.biases()]);
        };
        copy(parameters, &mut self.w, &mut self.transposed, &mut self.biases);
        if let Some(velocity) = velocity {
            copy(velocity, &mut self.v, &mut self.v_transposed, &mut self.v_biases);
        }
    }

    /// Gives them back.
    pub(super) fn store(&self, layer: &Layer, parameters: &mut [T], velocity: Option<&mut [T]>) {
        let copy = |w: &[Line<T>], b: &[Line<T>], vector: &mut [T]| {
            let weights = vector[layer.weights()].chunks_exact_mut(self.n_out);
            for (to, from) in weights.zip(w.chunks_exact(lines::lines(self.n_out))) {
                to.copy_from_slice(&lines::flat(from)[..self.n_out]);
            }
            vector[layer.biases()].copy_from_slice(&lines::flat(b)[..self.n_out]);
        };
        copy(&self.w, &self.biases, parameters);
        if let Some(velocity) = velocity {
            copy(&self.v, &self.v_biases, velocity);
        }
    }

    /// Adds the parameters and velocities to what is measured.
    pub(super) fn measure(&self, bound: &mut Bound<T>) {
        bound.cover(&self.w, &self.v);
        bound.cover(&self.biases, &self.v_biases);
        bound.cover(&self.transposed, &self.v_transposed);
    }

    /// Whether every parameter is finite.
    pub(super) fn is_finite(&self) -> bool {
        let weights = self.w.chunks_exact(lines::lines(self.n_out)).take(self.n_in);
        let finite = |row: &[Line<T>]| lines::flat(row)[..self.n_out].iter().all(|x| x.is_finite());
        weights.chain([&self.biases[..]]).all(finite)
    }

    /// a (n_out,).
    #[inline(always)]
    pub(super) fn outputs(&self) -> &[T] {
        &lines::flat(&self.a)[..self.n_out]
    }

    /// r (n_out,).
    #[inline(always)]
    pub(super) fn deltas(&self) -> &[T] {
        &lines::flat(&self.r)[..self.n_out]
    }

    /// z = W x + b, where z is W x, and a = sigma(z), of a row.
    #[inline(always)]
    pub(super) fn activate<S: Lines<T = T>>(&mut self, s: S, isa: Isa) {
        let Self { activation, n_out, biases, mask, z, a, .. } = self;
        activate(s, isa, (*activation, *n_out), (biases, mask), z, a);
    }

    /// The same of each of some rows.
    #[inline(always)]
    pub(super) fn activate_rows<S: Lines<T = T>>(&mut self, s: S, isa: Isa, rows: usize) {
        let Self { activation, n_out, biases, mask, z, a, .. } = self;
        let count = biases.len();
        for (z, a) in z.chunks_exact_mut(count).zip(a.chunks_exact_mut(count)).take(rows) {
            activate(s, isa, (*activation, *n_out), (biases, mask), z, a);
        }
    }

    /// r = sigma'(z) * dE/da in place of dE/da, of a row; returns how many units are saturated.
    #[inline(always)]
    pub(super) fn slope<S: Lines<T = T>>(&mut self, s: S, isa: Isa) -> u64 {
        let Self { activation, n_out, z, a, r, .. } = self;
        slope(s, isa, (*activation, *n_out), z, a, r)
    }

    /// The same of each of some rows.
    #[inline(always)]
    pub(super) fn slope_rows<S: Lines<T = T>>(&mut self, s: S, isa: Isa, rows: usize) -> u64 {
        let Self { activation, n_out, biases, z, a, r, .. } = self;
        let count = biases.len();
        let forward = z.chunks_exact(count).zip(a.chunks_exact(count));
        let mut saturated = 0;
        for ((z, a), r) in forward.zip(r.chunks_exact_mut(count)).take(rows) {
            saturated += slope(s, isa, (*activation, *n_out), z, a, r);
        }
        saturated
    }

    /// Whether a, of the layer before, or r is so small that the weights' step is for [`tiny`].
    #[inline(always)]
    pub(super) fn is_met_by_small<S: Lines<T = T>>(&self, s: S, a: &[Line<T>]) -> bool {
        tiny::any_small(s, a) || tiny::any_small(s, &self.r)
    }

    /// One step without l2 and momentum of a layer behind another, W both ways (Eq. 5), where some of that is
    /// small.
    #[inline(always)]
    pub(super) fn step_small<S: Lines<T = T>>(&mut self, s: S, a: &[Line<T>], by: Descent<T>) {
        self.step_biases(s, by, true);
        tiny::step(s, &lines::flat(a)[..self.n_in], &self.r, &mut self.w, by);
        let r = &lines::flat(&self.r)[..self.n_out];
        tiny::step(s, r, a, &mut self.transposed, by);
    }

    /// One step of the biases, whose gradient is r; where some of it is said to be small, by [`tiny`], without
    /// velocity.
    #[inline(always)]
    pub(super) fn step_biases<S: Lines<T = T>>(&mut self, s: S, by: Descent<T>, small: bool) {
        let by = Descent { l2: T::ZERO, ..by };
        if small {
            return tiny::step(s, &[T::ONE], &self.r, &mut self.biases, by);
        }
        rows::step(s, &[T::ONE], &self.r, &mut self.biases, &mut self.v_biases, by);
    }

    /// The same from the r of some rows; returns whether each bias is finite.
    #[inline(always)]
    pub(super) fn step_biases_by_rows<S: Lines<T = T>>(
        &mut self,
        s: S,
        rows: usize,
        by: Descent<T>,
    ) -> bool {
        let Self { biases, v_biases, r, .. } = self;
        few::step_biases(s, &r[..rows * biases.len()], (biases, v_biases), by)
    }
}

/// z = W x + b, where z is W x, and a = sigma(z), of a row of `n` outputs.
#[inline(always)]
fn activate<S: Lines>(
    s: S,
    isa: Isa,
    (activation, n): (Activation, usize),
    (biases, mask): (&[Line<S::T>], &Line<S::T>),
    z: &mut [Line<S::T>],
    a: &mut [Line<S::T>],
) {
    match activation {
        Activation::Identity => rows::identity(s, biases, z, a),
        Activation::Sigmoid => rows::sigmoid(s, biases, z, a),
        Activation::Tanh => rows::tanh(s, biases, z, a),
        Activation::Relu => rows::relu(s, biases, z, a),
        Activation::Softmax => {
            rows::identity(s, biases, z, a);
            reduce::softmax(isa, &lines::flat(z)[..n], &mut lines::flat_mut(a)[..n]);
        }
    }
    rows::clear_padding(s, a, mask);
}

/// r = sigma'(z) * dE/da in place of dE/da, of a row; returns how many units are saturated.
#[inline(always)]
fn slope<S: Lines>(
    s: S,
    isa: Isa,
    (activation, n): (Activation, usize),
    z: &[Line<S::T>],
    a: &[Line<S::T>],
    r: &mut [Line<S::T>],
) -> u64 {
    let small = S::T::from_f64(SATURATED);
    match activation {
        Activation::Identity => 0,
        Activation::Sigmoid => rows::sigmoid_backward(s, a, r, n, small),
        Activation::Tanh => rows::tanh_backward(s, a, r, n, small),
        Activation::Relu => rows::relu_backward(s, z, r, n),
        Activation::Softmax => {
            reduce::softmax_backward(isa, &lines::flat(a)[..n], &mut lines::flat_mut(r)[..n]);
            0
        }
    }
}
