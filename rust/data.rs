//! A dataset: rows, what they should become, and the order in which an epoch takes them.

mod lists;
mod order;
mod source;

pub use lists::{Listed, Lists};
pub use source::Source;

use order::Order;

use crate::error::Error;
use crate::kernels::gemm::Team;
use crate::kernels::memory::{self, zeros};
use crate::kernels::{Isa, Real, abreast, reduce, sparse};
use crate::matrix::checked_product;
use crate::network::check_finite;

/// Inputs (n, n_in), row by row.
#[derive(Clone, Debug, PartialEq)]
pub enum Inputs<T> {
    /// Numbers as they are.
    Values(Vec<T>),
    /// Pixels, kept as bytes; a network sees value / 255.
    Pixels(Vec<u8>),
    /// Only what is not zero.
    Listed(Lists<T>),
}

impl<T: Real> Inputs<T> {
    /// How many elements.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::Values(values) => values.len(),
            Self::Pixels(pixels) => pixels.len(),
            Self::Listed(lists) => lists.counts().0,
        }
    }

    /// Whether there are no elements.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Checks that every number is finite.
    ///
    /// # Errors
    /// [`Error::NotFinite`].
    pub fn check(&self) -> Result<(), Error> {
        match self {
            Self::Values(values) => check_finite("x", values),
            Self::Pixels(_) | Self::Listed(_) => Ok(()),
        }
    }

    /// Writes some rows to `to` (rows, n_in), as numbers.
    pub fn gather(&self, rows: Rows<'_>, n_in: usize, to: &mut [T]) {
        for (i, to) in to.chunks_exact_mut(n_in).enumerate() {
            let row = rows.at(i);
            let at = row * n_in..(row + 1) * n_in;
            match self {
                Self::Values(from) => to.copy_from_slice(&from[at]),
                Self::Pixels(from) => {
                    for (to, &pixel) in to.iter_mut().zip(&from[at]) {
                        *to = T::QUOTIENTS[usize::from(pixel)];
                    }
                }
                Self::Listed(lists) => {
                    to.fill(T::ZERO);
                    match lists {
                        Lists::Pixels(listed) => sparse::scatter(listed.row(row), to),
                        Lists::Values(listed, _) => sparse::scatter(listed.row(row), to),
                    }
                }
            }
        }
    }
}

/// What rows should become.
#[derive(Clone, Debug, PartialEq)]
pub enum Answers<T> {
    /// The number of each row's class: (n,).
    Labels(Vec<u32>),
    /// The outputs wanted: (n, n_out).
    Targets(Vec<T>),
}

impl<T: Real> Answers<T> {
    /// Labels, checked.
    ///
    /// # Errors
    /// [`Error::Label`] where one is not in 0 .. n_out - 1; [`Error::OutOfMemory`].
    pub fn labels(labels: &[i64], n_out: usize) -> Result<Self, Error> {
        let mut checked = zeros(labels.len())?;
        for (row, (to, &label)) in checked.iter_mut().zip(labels).enumerate() {
            *to = u32::try_from(label)
                .ok()
                .filter(|&label| (label as usize) < n_out)
                .ok_or(Error::Label { row, found: label, classes: n_out })?;
        }
        Ok(Self::Labels(checked))
    }
}

/// Rows of a dataset, in the order in which they are to be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rows<'a> {
    /// So many rows from a first one on.
    Range(usize, usize),
    /// Any rows.
    Listed(&'a [u32]),
}

impl Rows<'_> {
    /// How many.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::Range(_, count) => *count,
            Self::Listed(rows) => rows.len(),
        }
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The i-th of them.
    #[must_use]
    pub fn at(&self, i: usize) -> usize {
        match self {
            Self::Range(first, _) => first + i,
            Self::Listed(rows) => rows[i] as usize,
        }
    }

    /// In pieces of `size` rows; the last may be shorter.
    pub fn tiles(self, size: usize) -> impl Iterator<Item = Self> {
        (0..self.len().div_ceil(size)).map(move |t| self.tile(t, size))
    }

    /// The t-th of these pieces.
    #[must_use]
    pub fn tile(self, t: usize, size: usize) -> Self {
        self.part(t * size, size.min(self.len() - t * size))
    }

    /// `count` of them from `start` on.
    #[must_use]
    pub fn part(self, start: usize, count: usize) -> Self {
        match self {
            Self::Range(first, _) => Self::Range(first + start, count),
            Self::Listed(rows) => Self::Listed(&rows[start..start + count]),
        }
    }
}

/// Rows, what they should become, and how an epoch takes them.
#[derive(Clone, Debug)]
pub struct Dataset<T> {
    inputs: Inputs<T>,
    answers: Answers<T>,
    rows: usize,
    n_in: usize,
    n_out: usize,
    batch_size: usize,
    order: Option<Order>,
    lit_share: Option<f64>,
    /// Of numbers, beside them.
    lists: Option<Lists<T>>,
}

impl<T: Real> Dataset<T> {
    /// Checks and takes over `rows` rows of `n_in` inputs for `n_out` outputs.
    ///
    /// A batch of more rows than there are is all of them. Without a seed an epoch takes the rows
    /// in their own order.
    ///
    /// # Errors
    /// Where lengths do not belong together, a number is not finite, the batch is empty, or there
    /// are more than 2^32 - 1 rows; [`Error::OutOfMemory`].
    pub fn new(
        inputs: Inputs<T>,
        answers: Answers<T>,
        rows: usize,
        (n_in, n_out): (usize, usize),
        batch_size: usize,
        shuffle_seed: Option<u64>,
    ) -> Result<Self, Error> {
        if u32::try_from(rows).is_err() {
            return Err(Error::TooManyRows { found: rows });
        }
        let length = |what, expected, found| {
            if expected == found { Ok(()) } else { Err(Error::Length { what, expected, found }) }
        };
        length("elements of x", checked_product(rows, n_in)?, inputs.len())?;
        inputs.check()?;
        match &answers {
            Answers::Labels(labels) => {
                length("labels, one a row", rows, labels.len())?;
                if let Some(row) = labels.iter().position(|&label| label as usize >= n_out) {
                    let found = i64::from(labels[row]);
                    return Err(Error::Label { row, found, classes: n_out });
                }
            }
            Answers::Targets(targets) => {
                length("elements of targets", checked_product(rows, n_out)?, targets.len())?;
                check_finite("targets", targets)?;
            }
        }
        if batch_size == 0 {
            return Err(Error::EmptyBatch);
        }
        Ok(Self {
            inputs,
            answers,
            rows,
            n_in,
            n_out,
            batch_size: batch_size.min(rows.max(1)),
            order: shuffle_seed.map(|seed| Order::new(seed, rows)).transpose()?,
            lit_share: None,
            lists: None,
        })
    }

    /// How many rows.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// How many inputs and outputs it is for.
    #[must_use]
    pub fn sizes(&self) -> (usize, usize) {
        (self.n_in, self.n_out)
    }

    /// How many rows a batch has; the last of an epoch may have fewer.
    #[must_use]
    pub fn batch_size(&self) -> usize {
        self.batch_size
    }

    /// How many steps an epoch has.
    #[must_use]
    pub fn steps(&self) -> usize {
        self.rows.div_ceil(self.batch_size)
    }

    /// The share of inputs that are not zero, roughly; looked for once.
    pub fn lit_share(&mut self) -> f64 {
        let (inputs, n_in) = (&self.inputs, self.n_in);
        *self.lit_share.get_or_insert_with(|| inputs.lit_share(n_in))
    }

    /// Makes the lists of what is not zero, once. Returns whether there are any: not where they
    /// would take too much memory.
    pub fn list(&mut self, isa: Isa) -> bool {
        if self.lists().is_none() && self.lit_share != Some(1.0) {
            match &self.inputs {
                Inputs::Pixels(pixels) => {
                    if let Some(lists) = Lists::of_pixels(isa, pixels[..].into(), self.n_in) {
                        self.inputs = Inputs::Listed(lists);
                    }
                }
                Inputs::Values(values) => self.lists = Lists::of_values(values, self.n_in),
                Inputs::Listed(_) => {}
            }
            if self.lists().is_none() {
                self.lit_share = Some(1.0); // taken for dense from now on
            }
        }
        self.lists().is_some()
    }

    /// The lists, where they have been made.
    #[must_use]
    pub fn lists(&self) -> Option<&Lists<T>> {
        match &self.inputs {
            Inputs::Listed(lists) => Some(lists),
            _ => self.lists.as_ref(),
        }
    }

    /// Asks for the lists of some rows.
    pub fn prefetch(&self, rows: Rows<'_>) {
        for row in (0..rows.len()).map(|i| rows.at(i)) {
            match self.lists() {
                Some(Lists::Pixels(lists)) => lists.prefetch_entries(row),
                Some(Lists::Values(lists, _)) => lists.prefetch_entries(row),
                None => {}
            }
        }
    }

    /// The inputs as they are kept.
    #[must_use]
    pub fn inputs(&self) -> &Inputs<T> {
        &self.inputs
    }

    /// All rows in their own order.
    #[must_use]
    pub fn all(&self) -> Rows<'static> {
        Rows::Range(0, self.rows)
    }

    /// Puts the rows in the order of an epoch.
    pub fn prepare(&mut self, epoch: u64) {
        if let Some(order) = &mut self.order {
            order.prepare(epoch);
        }
    }

    /// Sorts the rows of the epoch after the one that was last prepared, if it is likely to come: for a
    /// worker with time to spare. No row changes its place.
    pub fn prepare_next(&self) {
        if let Some(order) = &self.order {
            order.prepare_next();
        }
    }

    /// Whether they are sorted.
    #[cfg(test)]
    pub(crate) fn has_next(&self) -> bool {
        self.order.as_ref().is_some_and(Order::has_next)
    }

    /// The rows of some steps from `first` on, of the epoch that was last prepared.
    ///
    /// # Panics
    /// Where the epoch has no such steps, or is not prepared.
    #[must_use]
    pub fn batches(&self, first: usize, steps: usize) -> Rows<'_> {
        let start = first * self.batch_size;
        let end = (start + steps * self.batch_size).min(self.rows);
        match &self.order {
            None => Rows::Range(start, end - start),
            Some(order) => Rows::Listed(&order.rows()[start..end]),
        }
    }

    /// The rows of a step of the epoch that [`Dataset::prepare`] was last called for.
    ///
    /// # Panics
    /// Where the epoch has no such step, or is not prepared.
    #[must_use]
    pub fn batch(&self, step: usize) -> Rows<'_> {
        self.batches(step, 1)
    }

    /// Writes some rows to x (rows, n_in) and y (rows, n_out); a label becomes a row of 0 and 1.
    pub fn gather(&self, rows: Rows<'_>, x: &mut [T], y: &mut [T]) {
        self.inputs.gather(rows, self.n_in, x);
        self.answers(rows, y);
    }

    /// The same by a team.
    pub fn gather_by(&self, team: &Team<'_, T>, rows: Rows<'_>, x: &mut [T], y: &mut [T]) {
        self.gather_inputs(team, rows, x);
        self.answers(rows, y);
    }

    /// Writes the inputs of some rows to x (rows, n_in), by a team.
    pub fn gather_inputs(&self, team: &Team<'_, T>, rows: Rows<'_>, x: &mut [T]) {
        team.fill_rows(x, self.n_in, &|first, x| {
            let rows = rows.part(first, x.len() / self.n_in);
            self.inputs.gather(rows, self.n_in, x);
        });
    }

    /// Writes what some rows should become to y (rows, n_out); a label becomes a row of 0 and 1.
    #[inline]
    pub fn answers(&self, rows: Rows<'_>, y: &mut [T]) {
        for (i, y) in y.chunks_exact_mut(self.n_out).enumerate() {
            match &self.answers {
                Answers::Labels(labels) => {
                    y.fill(T::ZERO);
                    y[labels[rows.at(i)] as usize] = T::ONE;
                }
                Answers::Targets(targets) => {
                    let start = rows.at(i) * self.n_out;
                    y.copy_from_slice(&targets[start..start + self.n_out]);
                }
            }
        }
    }

    /// The label of a row, where there are labels.
    #[must_use]
    pub fn label(&self, row: usize) -> Option<usize> {
        match &self.answers {
            Answers::Labels(labels) => Some(labels[row] as usize),
            Answers::Targets(_) => None,
        }
    }

    /// Asks for what a row should become.
    #[inline(always)]
    pub fn prefetch_answer(&self, row: usize) {
        match &self.answers {
            Answers::Labels(labels) => memory::prefetch(&labels[row..=row]),
            Answers::Targets(targets) => {
                memory::prefetch(&targets[row * self.n_out..][..self.n_out]);
            }
        }
    }

    /// The labels of some rows, where there are labels: written to `to` (rows,), else none.
    #[must_use]
    pub fn labels<'a>(&self, rows: Rows<'_>, to: &'a mut [u32]) -> &'a [u32] {
        let Answers::Labels(labels) = &self.answers else { return &[] };
        let to = &mut to[..rows.len()];
        for (i, to) in to.iter_mut().enumerate() {
            *to = labels[rows.at(i)];
        }
        to
    }

    /// How many of some rows are classified rightly by outputs a (rows, n_out); `labels` are
    /// theirs, where there are labels.
    #[must_use]
    pub fn count_correct(&self, isa: Isa, rows: Rows<'_>, labels: &[u32], a: &[T]) -> u64 {
        if !labels.is_empty() {
            return abreast::count_largest_at(isa, a, labels, self.n_out);
        }
        let each = a.chunks_exact(self.n_out).enumerate();
        each.map(|(i, a)| u64::from(self.is_correct(rows.at(i), a))).sum()
    }

    /// Whether outputs a (n_out,) classify a row rightly: with labels, where the largest stands,
    /// ties to the lowest; with one target, on which side of 0.5 both are. Never with more targets.
    #[must_use]
    pub fn is_correct(&self, row: usize, a: &[T]) -> bool {
        match &self.answers {
            Answers::Labels(labels) => reduce::largest(a) == labels[row] as usize,
            Answers::Targets(targets) => {
                let half = T::ONE / T::TWO;
                self.n_out == 1 && (a[0] > half) == (targets[row] > half)
            }
        }
    }
}

#[cfg(test)]
mod tests;
