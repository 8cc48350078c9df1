//! The first layer where most inputs are 0, which forward and step leave out.
//!
//! It computes what `train.rs` tells, to the bit. While it is at work its weights lie in lines of a
//! cache line each, cut into pieces: strips of a few outputs, blocks of 256 inputs. Workers share
//! the strips forward, cut by rows where these are few, and the pieces in the step: so each keeps its strips.

use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::activation::Activation;
use crate::data::{Dataset, Listed, Lists, Rows};
use crate::error::Error;
use crate::kernels::columns::{self, Columns, Piece, strip_lines};
use crate::kernels::ends::{AnyTiny, Surround};
use crate::kernels::gemm::{Alone, BLOCK, Cuts, Task, Team, Window, share_each, share_windows};
use crate::kernels::lines::{self, LINE, Line, Lines, Work};
use crate::kernels::memory::zeros;
use crate::kernels::rows::Descent;
use crate::kernels::sparse::{Lit, LitPixel, LitValue};
use crate::kernels::{Isa, Real, elementwise};
use crate::layer::Layer;
use crate::matrix::checked_product;

/// How many weights the rows of a tile meet at least, and how many rows there are, where workers
/// share them: of a few rows each weight is met about once, and then it costs most that one worker
/// has just moved what another reads.
const SHARED: (usize, usize) = (1 << 16, 16);

/// The layer's weights and scratch.
#[derive(Clone, Debug)]
pub struct First<T> {
    layer: Layer,
    strips: Vec<Strip>,
    /// The output that each begins with, and their number.
    edges: Vec<usize>,
    /// How many blocks of inputs there are.
    blocks: usize,
    /// Strip by strip, block by block.
    pieces: Vec<Piece<T>>,
    columns: AllColumns<T>,
    /// r of a tile, strip by strip (256, lines).
    r: Vec<Line<T>>,
    /// The upper and the lower ends around it, likewise; of units that saturate, and pixels.
    ends: Vec<Line<T>>,
    rows: usize,
}

/// The columns of each block.
#[derive(Clone, Debug)]
enum AllColumns<T> {
    Pixels(Vec<Columns<LitPixel>>),
    Values(Vec<Columns<LitValue<T>>>),
}

/// Some outputs: lines of weights.
#[derive(Clone, Copy, Debug)]
struct Strip {
    first: usize,
    lines: usize,
}

impl Strip {
    /// As wide ones as can be.
    fn all<T>(n_out: usize) -> Vec<Self> {
        let (mut strips, mut first, end) = (Vec::new(), 0, lines::lines(n_out));
        while first < end {
            let mut lines = strip_lines::<T>();
            while lines > end - first {
                lines /= 2;
            }
            strips.push(Self { first, lines });
            first += lines;
        }
        strips
    }

    /// Its outputs.
    fn outputs(self, n_out: usize) -> Range<usize> {
        self.first * LINE..n_out.min((self.first + self.lines) * LINE)
    }

    /// Where r of so many rows of a tile is.
    fn deltas(self, rows: usize) -> Range<usize> {
        let first = self.first * BLOCK;
        first..first + self.lines * rows
    }
}

impl<T: Real> First<T> {
    /// Room for a layer, with a velocity where the optimiser has one, for batches of so many rows.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`].
    pub fn new(
        layer: &Layer,
        lists: &Lists<T>,
        velocity: bool,
        rows: usize,
    ) -> Result<Self, Error> {
        let strips = Strip::all::<T>(layer.n_out);
        let blocks = layer.n_in.div_ceil(BLOCK);
        let mut pieces = Vec::new();
        for strip in &strips {
            let room = |needed| zeros(if needed { BLOCK * strip.lines } else { 0 });
            for _ in 0..blocks {
                pieces.push(Piece { w: room(true)?, v: room(velocity)?, g: room(rows > BLOCK)? });
            }
        }
        let tile = rows.min(BLOCK);
        let lines = checked_product(BLOCK, lines::lines(layer.n_out))?;
        let saturates = matches!(layer.activation, Activation::Sigmoid | Activation::Tanh);
        let has_ends = saturates && !velocity && matches!(lists, Lists::Pixels(_));
        Ok(Self {
            r: zeros(lines)?,
            ends: zeros(if has_ends { checked_product(2, lines)? } else { 0 })?,
            layer: layer.clone(),
            edges: strips.iter().map(|s| s.first * LINE).chain([layer.n_out]).collect(),
            strips,
            blocks,
            pieces,
            columns: match lists {
                Lists::Pixels(_) => AllColumns::Pixels(all_columns(blocks, tile)?),
                Lists::Values(..) => AllColumns::Values(all_columns(blocks, tile)?),
            },
            rows,
        })
    }

    /// Whether it does for this.
    #[must_use]
    pub fn fits(&self, lists: &Lists<T>, velocity: bool, rows: usize) -> bool {
        let kind = matches!(
            (&self.columns, lists),
            (AllColumns::Pixels(_), Lists::Pixels(_)) | (AllColumns::Values(_), Lists::Values(..))
        );
        kind && self.pieces[0].v.is_empty() != velocity && self.rows == rows
    }

    /// Takes over the weights and velocities from the network's vectors.
    pub fn load(&mut self, parameters: &[T], velocity: Option<&[T]>) {
        let n_out = self.layer.n_out;
        for (p, piece) in self.pieces.iter_mut().enumerate() {
            let (inputs, outputs) = place(&self.layer, &self.strips, p);
            let copy = |vector: &[T], to: &mut [Line<T>]| {
                let rows = vector[self.layer.weights()].chunks_exact(n_out);
                let width = to.len() / BLOCK * LINE;
                let to = lines::flat_mut(to).chunks_exact_mut(width);
                for (from, to) in rows.skip(inputs.start).take(inputs.len()).zip(to) {
                    to[..outputs.len()].copy_from_slice(&from[outputs.clone()]);
                }
            };
            copy(parameters, &mut piece.w);
            if let Some(velocity) = velocity {
                copy(velocity, &mut piece.v);
            }
        }
    }

    /// Gives them back.
    pub fn store(&self, parameters: &mut [T], mut velocity: Option<&mut [T]>) {
        let n_out = self.layer.n_out;
        for (p, piece) in self.pieces.iter().enumerate() {
            let (inputs, outputs) = place(&self.layer, &self.strips, p);
            let copy = |from: &[Line<T>], vector: &mut [T]| {
                let rows = vector[self.layer.weights()].chunks_exact_mut(n_out);
                let width = from.len() / BLOCK * LINE;
                let from = lines::flat(from).chunks_exact(width);
                for (to, from) in rows.skip(inputs.start).take(inputs.len()).zip(from) {
                    to[outputs.clone()].copy_from_slice(&from[..outputs.len()]);
                }
            };
            copy(&piece.w, parameters);
            if let Some(velocity) = &mut velocity {
                copy(&piece.v, velocity);
            }
        }
    }

    /// W x for the rows of a tile (Eq. 6), into a (rows, n_out), then `with_bias` for some rows at a time; also
    /// lists the columns for the step.
    pub fn forward(
        &mut self,
        team: &Team<'_, T>,
        data: &Dataset<T>,
        tile: Rows<'_>,
        a: &mut [T],
        with_bias: &(impl Fn(&mut [T]) + Sync),
    ) {
        let Self { layer, strips, edges, pieces, columns, .. } = self;
        let job = Forward { team, layer, strips, edges, pieces, tile };
        match (columns, data.lists()) {
            (AllColumns::Pixels(columns), Some(Lists::Pixels(lists))) => {
                job.share(lists, columns, a, with_bias);
            }
            (AllColumns::Values(columns), Some(Lists::Values(lists, _))) => {
                job.share(lists, columns, a, with_bias);
            }
            _ => unreachable!("made for lists of another kind"),
        }
    }

    /// Adds the gradient of a tile, whose r (rows, n_out) is, to that of the tiles before; or, as
    /// the last, moves the weights against it all (Eq. 24, 5). Returns whether each is finite.
    pub fn backward(
        &mut self,
        team: &Team<'_, T>,
        data: &Dataset<T>,
        tile: Rows<'_>,
        r: &[T],
        first: bool,
        last: Option<Descent<T>>,
    ) -> bool {
        self.take_deltas(r);
        // 0 times what is not finite is not 0.
        let all = !elementwise::all_finite(team.isa, r);
        let rows = tile.len();
        let summed_at_once = first && last.is_some_and(|by| self.pieces[0].is_plain(by));
        let saturated = summed_at_once && !all && self.is_tiny_anywhere(team.isa, rows);
        if saturated {
            self.surround(team.isa, rows);
        }
        let Self { strips, blocks, pieces, columns, r, ends, .. } = self;
        let ends = saturated.then(|| ends.split_at(r.len())).map(|(upper, lower)| [upper, lower]);
        let job = Backward { team, rows, strips, blocks: *blocks, r, ends, first, last };
        match (columns, data.lists()) {
            (AllColumns::Pixels(columns), Some(Lists::Pixels(lists))) => {
                if all {
                    list_all::<T, _>(columns, lists, tile);
                }
                job.share(columns, pieces)
            }
            (AllColumns::Values(columns), Some(Lists::Values(lists, _))) => {
                if all {
                    list_all::<T, _>(columns, lists, tile);
                }
                job.share(columns, pieces)
            }
            _ => unreachable!("made for lists of another kind"),
        }
    }

    /// Whether some of r of so many rows is tiny, and there is room for the ends around it.
    fn is_tiny_anywhere(&self, isa: Isa, rows: usize) -> bool {
        let is_tiny = |strip: &Strip| isa.run(AnyTiny { r: &self.r[strip.deltas(rows)] });
        !self.ends.is_empty() && self.strips.iter().any(is_tiny)
    }

    /// Takes the ends around r of so many rows.
    fn surround(&mut self, isa: Isa, rows: usize) {
        let Self { strips, r, ends, .. } = self;
        let (upper, lower) = ends.split_at_mut(r.len());
        for part in strips.iter().map(|strip| strip.deltas(rows)) {
            let (r, upper, lower) = (&r[part.clone()], &mut upper[part.clone()], &mut lower[part]);
            isa.run(Surround { r, upper, lower });
        }
    }

    /// Copies r (rows, n_out), strip by strip.
    fn take_deltas(&mut self, r: &[T]) {
        let n_out = self.layer.n_out;
        for strip in &self.strips {
            let to = &mut self.r[strip.first * BLOCK..][..strip.lines * BLOCK];
            let outputs = strip.outputs(n_out);
            let to = lines::flat_mut(to).chunks_exact_mut(strip.lines * LINE);
            for (from, to) in r.chunks_exact(n_out).zip(to) {
                to[..outputs.len()].copy_from_slice(&from[outputs.clone()]);
            }
        }
    }
}

/// The inputs and outputs of a piece.
fn place(layer: &Layer, strips: &[Strip], piece: usize) -> (Range<usize>, Range<usize>) {
    let blocks = layer.n_in.div_ceil(BLOCK);
    let first = piece % blocks * BLOCK;
    let inputs = first..layer.n_in.min(first + BLOCK);
    (inputs, strips[piece / blocks].outputs(layer.n_out))
}

fn all_columns<E: Copy + Default>(blocks: usize, rows: usize) -> Result<Vec<Columns<E>>, Error> {
    (0..blocks).map(|_| Columns::new(rows)).collect()
}

/// Lists the columns with nothing left out.
#[cold]
fn list_all<T: Real, E: Lit<T>>(columns: &mut [Columns<E>], lists: &Listed<E>, tile: Rows<'_>) {
    for (b, columns) in columns.iter_mut().enumerate() {
        columns.collect_all(b, tile.len(), |i| lists.row(tile.at(i)));
    }
}

/// The next of what workers share, each once.
fn next<I: Iterator>(queue: &Mutex<I>) -> Option<I::Item> {
    queue.lock().unwrap_or_else(PoisonError::into_inner).next()
}

/// The way forward of a tile.
struct Forward<'a, T> {
    team: &'a Team<'a, T>,
    layer: &'a Layer,
    strips: &'a [Strip],
    edges: &'a [usize],
    pieces: &'a [Piece<T>],
    tile: Rows<'a>,
}

impl<T: Real> Forward<'_, T> {
    /// Into how many parts of the rows each strip is cut: into one where workers have equally many, so that they
    /// meet the weights that they have moved, and each once.
    fn down(&self, workers: usize) -> usize {
        let (strips, widths) = (self.strips.len(), self.strips.iter().map(|strip| strip.lines));
        let even = strips.is_multiple_of(workers) && widths.clone().min() == widths.max();
        if workers == 1 || even { 1 } else { (2 * workers).div_ceil(strips) }
    }

    /// Lists the columns and computes the rows.
    fn share<E: Lit<T> + Send + Sync>(
        &self,
        lists: &Listed<E>,
        columns: &mut [Columns<E>],
        a: &mut [T],
        with_bias: &(impl Fn(&mut [T]) + Sync),
    ) {
        let (rows, n_out, blocks) = (self.tile.len(), self.layer.n_out, columns.len());
        let pays = rows >= SHARED.1 && lists.mean() * rows * n_out >= SHARED.0;
        let crew = if pays { self.team.crew } else { &Alone };
        let cuts = Cuts { columns: n_out, edges: self.edges, down: self.down(crew.workers()) };
        let columns = Mutex::new(columns.iter_mut().enumerate());
        share_windows(crew, a, cuts, blocks, &|task| match task {
            Task::Fill { edge, first, window } => {
                self.team.isa.run(Chunk { job: self, lists, first, s: edge, z: window });
            }
            Task::Other => {
                if let Some((b, columns)) = next(&columns) {
                    columns.collect(b, rows, |i| lists.row(self.tile.at(i)));
                }
            }
        });
        // For the short rows of each strip that took longer.
        let team = Team { crew, ..*self.team };
        team.fill_rows(a, n_out, &|_, a| with_bias(a));
    }
}

/// Some rows of a tile forward through a strip.
struct Chunk<'a, T, E> {
    job: &'a Forward<'a, T>,
    lists: &'a Listed<E>,
    first: usize,
    s: usize,
    z: Window<'a, T>,
}

impl<T: Real, E: Lit<T>> Work<T> for Chunk<'_, T, E> {
    type Output = ();

    #[inline(always)]
    fn run<S: Lines<T = T>>(self, s: S) {
        let Self { job, lists, first, mut z, .. } = self;
        let row = |i| lists.row(job.tile.at(first + i));
        let blocks = job.pieces.len() / job.strips.len();
        let pieces = &job.pieces[self.s * blocks..][..blocks];
        match job.strips[self.s].lines {
            1 => columns::product::<S, E, 4, 1>(s, &row, pieces, &mut z),
            2 => columns::product::<S, E, 2, 2>(s, &row, pieces, &mut z),
            _ if lines::is_one_register::<S>() => {
                columns::product::<S, E, 2, 4>(s, &row, pieces, &mut z);
            }
            _ => columns::product::<S, E, 1, 4>(s, &row, pieces, &mut z),
        }
    }
}

/// The way back of a tile.
struct Backward<'a, T> {
    team: &'a Team<'a, T>,
    rows: usize,
    strips: &'a [Strip],
    blocks: usize,
    r: &'a [Line<T>],
    /// Around r, where some of it is tiny.
    ends: Option<[&'a [Line<T>]; 2]>,
    first: bool,
    last: Option<Descent<T>>,
}

impl<T: Real> Backward<'_, T> {
    /// Moves the pieces, or adds to their gradients.
    fn share<E: Lit<T> + Send + Sync>(
        &self,
        columns: &[Columns<E>],
        pieces: &mut [Piece<T>],
    ) -> bool {
        let lit = columns.iter().map(Columns::len).sum::<usize>();
        let lines = self.strips.iter().map(|strip| strip.lines).sum::<usize>();
        let pays = self.rows >= SHARED.1 && lit * lines * LINE >= SHARED.0;
        let crew = if pays { self.team.crew } else { &Alone };
        let finite = AtomicBool::new(true);
        share_each(crew, pieces, &|p, piece| {
            let (strip, columns) = (self.strips[p / self.blocks], &columns[p % self.blocks]);
            if !self.team.isa.run(Move { job: self, strip, columns, piece }) {
                finite.store(false, Ordering::Relaxed);
            }
        });
        finite.into_inner()
    }
}

/// A piece on the way back.
struct Move<'a, T, E> {
    job: &'a Backward<'a, T>,
    strip: Strip,
    columns: &'a Columns<E>,
    piece: &'a mut Piece<T>,
}

impl<T: Real, E: Lit<T>> Work<T> for Move<'_, T, E> {
    type Output = bool;

    #[inline(always)]
    fn run<S: Lines<T = T>>(self, s: S) -> bool {
        match self.strip.lines {
            1 => self.strip_of::<S, 4, 1>(s),
            2 => self.strip_of::<S, 2, 2>(s),
            _ if lines::is_one_register::<S>() => self.strip_of::<S, 2, 4>(s),
            _ => self.strip_of::<S, 1, 4>(s),
        }
    }
}

impl<'a, T: Real, E: Lit<T>> Move<'a, T, E> {
    #[inline(always)]
    fn strip_of<S: Lines<T = T>, const C: usize, const L: usize>(self, s: S) -> bool {
        let Self { job, strip, columns, piece } = self;
        let of_strip = |r: &'a [Line<T>]| &r[strip.first * BLOCK..][..L * BLOCK];
        let r = of_strip(job.r);
        let Some(by) = job.last else {
            columns::accumulate::<S, E, L>(s, columns, r, piece, job.first);
            return true;
        };
        if let Some([upper, lower]) = job.ends {
            let ends = [of_strip(upper), of_strip(lower)];
            return columns::descend_saturated::<S, E, L>(s, columns, r, ends, piece, by);
        }
        columns::descend::<S, E, C, L>(s, columns, r, piece, job.first, by)
    }
}
