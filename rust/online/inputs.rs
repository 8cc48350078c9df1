//! How the rows of a batch meet the first layer: as numbers, or by what is not 0.

use super::part::Part;
use crate::data::{Dataset, Inputs, Listed, Rows};
use crate::kernels::lines::{self, Line, Lines, Work};
use crate::kernels::rows::Descent;
use crate::kernels::sparse::Lit;
use crate::kernels::{Isa, Real, elementwise, few, memory};

/// Rows as numbers, whatever is 0 among them.
#[derive(Clone, Copy)]
pub(super) struct Whole;

/// Rows of which only what is not 0 is listed.
#[derive(Clone, Copy)]
pub(super) struct Lists<'a, E>(pub(super) &'a Listed<E>);

/// Scratch of the first layer.
#[derive(Debug)]
pub(super) struct Desk<'a, T> {
    /// The rows' inputs as numbers, (rows, lines of n_in).
    pub(super) x: &'a mut [Line<T>],
    /// The gradient of a block of inputs, or what it is between, (2, 256, lines of n_out); +0.0 between steps.
    pub(super) sums: &'a mut [Line<T>],
}

/// What the first layer does with some rows.
pub(super) trait Entry<T: Real>: Copy {
    /// Asks for what the next steps need.
    fn prefetch(self, data: &Dataset<T>, step: usize, left: usize);

    /// z and a of the first layer (Eq. 6, 7).
    fn forward<S: Lines<T = T>>(
        self,
        s: S,
        isa: Isa,
        rows: (&Dataset<T>, Rows<'_>),
        part: &mut Part<T>,
        desk: Desk<'_, T>,
    );

    /// One step of the first layer (Eq. 24, 5), by the rows that it has met last; returns whether each
    /// of its parameters is finite.
    fn step<S: Lines<T = T>>(
        self,
        s: S,
        isa: Isa,
        rows: (&Dataset<T>, Rows<'_>),
        part: &mut Part<T>,
        by: Descent<T>,
        desk: Desk<'_, T>,
    ) -> bool;
}

impl<T: Real> Entry<T> for Whole {
    #[inline(always)]
    fn prefetch(self, data: &Dataset<T>, step: usize, left: usize) {
        if left < 2 {
            return;
        }
        let (rows, n_in) = (data.batch(step + 1), data.sizes().0);
        for row in (0..rows.len()).map(|i| rows.at(i)) {
            let at = row * n_in..(row + 1) * n_in;
            match data.inputs() {
                Inputs::Pixels(pixels) => memory::prefetch(&pixels[at]),
                Inputs::Values(values) => memory::prefetch(&values[at]),
                Inputs::Listed(_) => {}
            }
        }
    }

    #[inline(always)]
    fn forward<S: Lines<T = T>>(
        self,
        s: S,
        isa: Isa,
        (data, rows): (&Dataset<T>, Rows<'_>),
        part: &mut Part<T>,
        Desk { x, .. }: Desk<'_, T>,
    ) {
        gather(data, rows, x);
        s.apart(ForwardWhole { isa, rows: rows.len(), x, part });
    }

    #[inline(always)]
    fn step<S: Lines<T = T>>(
        self,
        s: S,
        _: Isa,
        (_, rows): (&Dataset<T>, Rows<'_>),
        part: &mut Part<T>,
        by: Descent<T>,
        Desk { x, .. }: Desk<'_, T>,
    ) -> bool {
        s.apart(StepWhole { rows: rows.len(), x, part, by })
    }
}

impl<T: Real, E: Lit<T>> Entry<T> for Lists<'_, E> {
    #[inline(always)]
    fn prefetch(self, data: &Dataset<T>, step: usize, left: usize) {
        if left > 2 {
            let far = data.batch(step + 2);
            (0..far.len()).for_each(|i| self.0.prefetch_bounds(far.at(i)));
        }
        if left > 1 {
            let near = data.batch(step + 1);
            (0..near.len()).for_each(|i| self.0.prefetch_entries(near.at(i)));
        }
    }

    #[inline(always)]
    fn forward<S: Lines<T = T>>(
        self,
        s: S,
        isa: Isa,
        (_, rows): (&Dataset<T>, Rows<'_>),
        part: &mut Part<T>,
        _: Desk<'_, T>,
    ) {
        s.apart(ForwardLit { isa, lists: self.0, rows, part });
    }

    #[inline(always)]
    fn step<S: Lines<T = T>>(
        self,
        s: S,
        isa: Isa,
        (data, rows): (&Dataset<T>, Rows<'_>),
        part: &mut Part<T>,
        by: Descent<T>,
        Desk { x, sums }: Desk<'_, T>,
    ) -> bool {
        let r = &part.r[..rows.len() * lines::lines(part.n_out)];
        if elementwise::all_finite(isa, lines::flat(r)) {
            s.apart(StepLit { lists: self.0, rows, part, sums, by })
        } else {
            // Nothing is left out, as 0 times what is not finite is not 0.
            gather(data, rows, x);
            s.apart(StepWhole { rows: rows.len(), x, part, by })
        }
    }
}

/// Writes the rows' inputs to lines, as numbers.
fn gather<T: Real>(data: &Dataset<T>, rows: Rows<'_>, x: &mut [Line<T>]) {
    let n_in = data.sizes().0;
    for (i, x) in x.chunks_exact_mut(lines::lines(n_in)).take(rows.len()).enumerate() {
        let x = &mut lines::flat_mut(x)[..n_in];
        data.inputs().gather(Rows::Range(rows.at(i), 1), n_in, x);
    }
}

/// z and a of the first layer.
struct ForwardWhole<'a, T> {
    isa: Isa,
    rows: usize,
    x: &'a [Line<T>],
    part: &'a mut Part<T>,
}

impl<T: Real> Work<T> for ForwardWhole<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<S: Lines<T = T>>(self, s: S) {
        let Self { isa, rows, x, part } = self;
        let z = &mut part.z[..rows * lines::lines(part.n_out)];
        few::product(s, rows, (x, part.n_in), &part.w, z);
        part.activate_rows(s, isa, rows);
    }
}

/// One step of the first layer; returns whether each of its parameters is finite.
struct StepWhole<'a, T> {
    rows: usize,
    x: &'a [Line<T>],
    part: &'a mut Part<T>,
    by: Descent<T>,
}

impl<T: Real> Work<T> for StepWhole<'_, T> {
    type Output = bool;

    #[inline(always)]
    fn run<S: Lines<T = T>>(self, s: S) -> bool {
        let Self { rows, x, part, by } = self;
        let biases = part.step_biases_by_rows(s, rows, by);
        let Part { n_in, n_out, w, v, r, .. } = part;
        let r = &r[..rows * lines::lines(*n_out)];
        biases & few::step(s, rows, (x, *n_in), r, (w, v), by)
    }
}

/// z and a of the first layer, from those inputs that are not 0.
struct ForwardLit<'a, T, E> {
    isa: Isa,
    lists: &'a Listed<E>,
    rows: Rows<'a>,
    part: &'a mut Part<T>,
}

impl<T: Real, E: Lit<T>> Work<T> for ForwardLit<'_, T, E> {
    type Output = ();

    #[inline(always)]
    fn run<S: Lines<T = T>>(self, s: S) {
        let Self { isa, lists, rows, part } = self;
        let (row, count) = (|i| lists.row(rows.at(i)), rows.len());
        let z = &mut part.z[..count * lines::lines(part.n_out)];
        if z.len() == count {
            few::product_lit::<S, E, 1>(s, &row, &part.w, z);
        } else {
            few::product_lit::<S, E, 2>(s, &row, &part.w, z);
        }
        part.activate_rows(s, isa, count);
    }
}

/// One step of the first layer, from those inputs that are not 0.
struct StepLit<'a, T, E> {
    lists: &'a Listed<E>,
    rows: Rows<'a>,
    part: &'a mut Part<T>,
    sums: &'a mut [Line<T>],
    by: Descent<T>,
}

impl<T: Real, E: Lit<T>> Work<T> for StepLit<'_, T, E> {
    type Output = bool;

    #[inline(always)]
    fn run<S: Lines<T = T>>(self, s: S) -> bool {
        let Self { lists, rows, part, sums, by } = self;
        let biases = part.step_biases_by_rows(s, rows.len(), by);
        let row = |i| lists.row(rows.at(i));
        let Part { n_in, n_out, w, v, r, .. } = part;
        let (row, r) = ((&row, *n_in), &r[..rows.len() * lines::lines(*n_out)]);
        let weights = if r.len() == rows.len() {
            few::step_lit::<S, E, 1>(s, row, r, (w, v), by, sums)
        } else {
            few::step_lit::<S, E, 2>(s, row, r, (w, v), by, sums)
        };
        biases && weights
    }
}
