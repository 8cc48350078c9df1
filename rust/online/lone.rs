//! A row that comes alone: forward only, with the parameters in lines.

use super::part::{Part, Place};
use super::stages::Forward;
use crate::error::Error;
use crate::kernels::foreign::Source;
use crate::kernels::lines::{self, Lines, Wide, Work};
use crate::kernels::memory::zeros;
use crate::kernels::{Isa, Real, elementwise, gemm, narrow, rows};
use crate::matrix::MatRef;
use crate::network::Network;

/// A copy of a network's parameters in lines, and scratch for a row.
#[derive(Clone, Debug)]
pub struct Lone<T> {
    parts: Vec<Part<T>>,
    /// Whether every layer has at most a line of outputs.
    narrow: bool,
    /// A copy of a row's inputs (n_in,).
    x: Vec<T>,
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

    /// The activations of the last layer (n_out,) for inputs (n_in,), which others may write to
    /// meanwhile; none where one is not finite. And whether those that are 0 were left out.
    ///
    /// # Panics
    /// Where there are not so many inputs.
    pub fn predict(&mut self, isa: Isa, x: Source<'_, T>) -> (Option<&[T]>, bool) {
        assert!(x.len() == self.x.len(), "a row");
        let dark = is_dark(x);
        let Self { parts, narrow, x: copy } = self;
        if !(dark && pass(isa, Row::Dark(x), parts, *narrow)) {
            // What is then looked at is what goes into the sums.
            x.copy(isa, 0, copy);
            let row =
                if dark { Row::Dark(Source::Values(copy[..].into())) } else { Row::Plain(copy) };
            if !pass(isa, row, parts, *narrow) && !elementwise::all_finite(isa, copy) {
                return (None, dark);
            }
        }
        (Some(parts[parts.len() - 1].outputs()), dark)
    }
}

/// Takes a row through all layers. Returns whether the first layer's sums are finite: what is not
/// makes every sum that it goes into so, whatever the weight.
fn pass<T: Real>(isa: Isa, x: Row<'_, T>, parts: &mut [Part<T>], narrow: bool) -> bool {
    if narrow {
        isa.run(ThroughNarrow { isa, x, parts });
    } else {
        isa.run(Through { isa, x, parts });
    }
    let first = &parts[0];
    lines::flat(&first.z)[..first.n_out].iter().all(|z| z.is_finite())
}

/// Inputs (n_in,).
#[derive(Clone, Copy)]
enum Row<'a, T> {
    /// Of which those that are 0 are left out.
    Dark(Source<'a, T>),
    Plain(&'a [T]),
}

/// A row through all layers (Eq. 6, 7, 11).
struct Through<'a, T> {
    isa: Isa,
    x: Row<'a, T>,
    parts: &'a mut [Part<T>],
}

impl<T: Real> Work<T> for Through<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<S: Lines<T = T>>(self, s: S) {
        let Self { isa, x, parts } = self;
        let (part, behind) = parts.split_at_mut(1);
        let part = &mut part[0];
        match x {
            Row::Dark(x) => s.apart(ForwardDark { isa, x, part }),
            Row::Plain(x) => s.apart(Forward { isa, x, part }),
        }
        let mut x = part.outputs();
        for part in behind {
            s.apart(Forward { isa, x, part });
            x = part.outputs();
        }
    }
}

/// The same where every layer has at most a line of outputs.
struct ThroughNarrow<'a, T> {
    isa: Isa,
    x: Row<'a, T>,
    parts: &'a mut [Part<T>],
}

impl<T: Real> Work<T> for ThroughNarrow<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<S: Lines<T = T>>(self, s: S) {
        let Self { isa, x, parts } = self;
        let (first, behind) = parts.split_at_mut(1);
        let part = &mut first[0];
        let product = match x {
            Row::Dark(x) => narrow::product_lit(s, x, &part.w),
            Row::Plain(x) => {
                rows::product(s, x, &part.w, &mut part.z);
                Wide::load(s, &part.z[0])
            }
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
    x: Source<'a, T>,
    part: &'a mut Part<T>,
}

impl<T: Real> Work<T> for ForwardDark<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<S: Lines<T = T>>(self, s: S) {
        let Self { isa, x, part } = self;
        let (n, stride) = (part.n_out, lines::lines(part.n_out) * lines::LINE);
        let w = MatRef::with_strides(lines::flat(&part.w), x.len(), n, stride, 1);
        let z = &mut lines::flat_mut(&mut part.z)[..n];
        gemm::product_lit(isa, x, w, None, z);
        part.activate(s, isa);
    }
}

/// Whether most inputs are 0, by a sample of them; rows of a few inputs are never taken so.
fn is_dark<T: Real>(x: Source<'_, T>) -> bool {
    const SAMPLE: usize = 32;
    let sample = (0..x.len()).step_by(x.len().div_ceil(SAMPLE));
    let zeros = match x {
        Source::Values(x) => sample.filter(|&at| x.element(at) == T::ZERO).count(),
        Source::Pixels(x) => sample.filter(|&at| x.element(at) == 0).count(),
    };
    x.len() >= 2 * SAMPLE && 2 * zeros > SAMPLE
}
