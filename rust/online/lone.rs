//! A row that comes alone: forward only, with the parameters in lines.

use super::part::{Part, Place};
use super::stages::Forward;
use crate::error::Error;
use crate::kernels::foreign::Source;
use crate::kernels::lines::{self, Lines, Wide, Work};
use crate::kernels::memory::{Coming, zeros};
use crate::kernels::{Isa, Real, elementwise, gemm, narrow, rows};
use crate::matrix::MatRef;
use crate::network::Network;

/// A copy of a network's parameters in lines, and scratch for a row.
#[derive(Clone, Debug)]
pub struct Lone<T> {
    parts: Vec<Part<T>>,
    /// Whether every layer has at most a line of outputs.
    narrow: bool,
    /// The row's inputs (n_in,).
    pub x: Vec<T>,
}

impl<T: Real> Lone<T> {
    /// For a network as it is now.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`].
    pub fn new(network: &Network<T>) -> Result<Self, Error> {
        let part = |layer| {
            let mut part = Part::new(layer, Place::Forward, false, 1)?;
            part.load(layer, network.parameters(), None);
            Ok(part)
        };
        let parts = network.layers().iter().map(part).collect::<Result<Vec<_>, Error>>()?;
        Ok(Self { narrow: parts.iter().all(Part::is_narrow), parts, x: zeros(network.n_in())? })
    }

    /// The activations of the last layer (n_out,) for the inputs that `x` holds; none where one is
    /// not finite.
    pub fn predict(&mut self, isa: Isa) -> Option<&[T]> {
        let Self { parts, narrow, x } = self;
        let dark = is_dark(x);
        if *narrow {
            isa.run(ThroughNarrow { isa, x, parts, dark });
        } else {
            isa.run(Through { isa, x, parts, dark });
        }
        // What is not finite makes every sum that it goes into so, whatever the weight.
        let finite = lines::flat(&parts[0].z)[0].is_finite() || elementwise::all_finite(isa, x);
        finite.then(|| self.parts[self.parts.len() - 1].outputs())
    }
}

/// A row through all layers (Eq. 6, 7, 11).
struct Through<'a, T> {
    isa: Isa,
    x: &'a [T],
    parts: &'a mut [Part<T>],
    /// Whether inputs that are 0 are left out.
    dark: bool,
}

impl<T: Real> Work<T> for Through<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<S: Lines<T = T>>(self, s: S) {
        let Self { isa, mut x, parts, dark } = self;
        for (l, part) in parts.iter_mut().enumerate() {
            if dark && l == 0 {
                s.apart(ForwardDark { isa, x, part });
            } else {
                s.apart(Forward { isa, x, part });
            }
            x = part.outputs();
        }
    }
}

/// The same where every layer has at most a line of outputs.
struct ThroughNarrow<'a, T> {
    isa: Isa,
    x: &'a [T],
    parts: &'a mut [Part<T>],
    dark: bool,
}

impl<T: Real> Work<T> for ThroughNarrow<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<S: Lines<T = T>>(self, s: S) {
        let Self { isa, x, parts, dark } = self;
        let (first, behind) = parts.split_at_mut(1);
        let part = &mut first[0];
        let product = if dark {
            narrow::product_lit(s, x, &part.w)
        } else {
            rows::product(s, x, &part.w, &mut part.z);
            Wide::load(s, &part.z[0])
        };
        let mut a = part.forward_from(s, isa, product);
        for part in behind {
            a = part.forward(s, isa, a);
        }
    }
}

/// The first layer, leaving out inputs that are 0.
struct ForwardDark<'a, T> {
    isa: Isa,
    x: &'a [T],
    part: &'a mut Part<T>,
}

impl<T: Real> Work<T> for ForwardDark<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<S: Lines<T = T>>(self, s: S) {
        let Self { isa, x, part } = self;
        let (n, stride) = (part.n_out, lines::lines(part.n_out) * lines::LINE);
        let w = MatRef::with_strides(lines::flat(&part.w), x.len(), n, stride, 1);
        gemm::product_lit(
            isa,
            Source::Values(x.into()),
            w,
            &mut lines::flat_mut(&mut part.z)[..n],
            &mut Coming::nothing(),
        );
        part.activate(s, isa);
    }
}

/// Whether most inputs are 0, by a sample of them; rows of a few inputs are never taken so.
fn is_dark<T: Real>(x: &[T]) -> bool {
    const SAMPLE: usize = 32;
    let zeros = x.iter().step_by(x.len().div_ceil(SAMPLE)).filter(|&&x| x == T::ZERO).count();
    x.len() >= 2 * SAMPLE && 2 * zeros > SAMPLE
}
