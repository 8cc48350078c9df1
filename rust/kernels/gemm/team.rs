//! Who does the work of a product, and with what scratch.

use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};

use super::super::memory::zeros;
use super::super::{Isa, Real};
use super::chunk::scratch;
use super::share::Start;
use crate::error::Error;

/// Workers that share chunks of work.
///
/// # Safety
/// [`Crew::share`] calls the work as it says: chunks are parts of what workers write to.
pub unsafe trait Crew: Sync {
    /// How many there are, at least one.
    fn workers(&self) -> usize;

    /// The worker that calls.
    fn caller(&self) -> usize {
        0
    }

    /// A turn of so many multiply-adds begins, like the others of as many. What workers share until
    /// the next turn belongs to it; where it is not quicker together the caller does it alone.
    fn turn(&self, work: usize) {
        let _ = work;
    }

    /// Calls `work(worker, chunk)` once for each chunk below `chunks`, and returns when all is
    /// done. No two calls at a time have the same worker. The work shares nothing itself.
    fn share(&self, chunks: usize, work: &(dyn Fn(usize, usize) + Sync));
}

/// One worker: the thread that calls.
#[derive(Clone, Copy, Debug)]
pub struct Alone;

// SAFETY: as [`Sole`] shares.
unsafe impl Crew for Alone {
    fn workers(&self) -> usize {
        1
    }

    fn share(&self, chunks: usize, work: &(dyn Fn(usize, usize) + Sync)) {
        Sole(0).share(chunks, work);
    }
}

/// One of several workers, which works by itself with its own scratch.
#[derive(Clone, Copy, Debug)]
pub struct Sole(pub usize);

// SAFETY: one chunk after the other.
unsafe impl Crew for Sole {
    fn workers(&self) -> usize {
        1
    }

    fn caller(&self) -> usize {
        self.0
    }

    fn share(&self, chunks: usize, work: &(dyn Fn(usize, usize) + Sync)) {
        for chunk in 0..chunks {
            work(self.0, chunk);
        }
    }
}

/// The most workers that a crew may have.
pub const MAX_WORKERS: usize = 64;

/// Where each worker packs operands; made once, when it is needed.
#[derive(Debug)]
pub struct Scratch<T>([Mutex<Space<T>>; MAX_WORKERS]);

/// One worker's elements, from the first that begins a cache line on.
#[derive(Debug)]
struct Space<T> {
    elements: Vec<T>,
    start: usize,
}

impl<T: Real> Scratch<T> {
    /// For any crew; holds nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self(std::array::from_fn(|_| Mutex::new(Space { elements: Vec::new(), start: 0 })))
    }

    /// Makes the scratch of the first workers, where it is not made.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`].
    pub fn prepare(&self, workers: usize) -> Result<(), Error> {
        // One that is in use is made, or is being made.
        self.0.iter().take(workers).filter_map(unlocked).try_for_each(|mut space| space.make())
    }

    /// For one worker, where little memory must be had.
    pub(super) fn alone() -> Self {
        let scratch = Self::new();
        scratch.prepare(1).expect("memory for one worker");
        scratch
    }

    /// The scratch of a worker, or another where that is in use: by another call, or for ever in a
    /// process that was forked meanwhile. What a panic left in it does not matter.
    pub(super) fn of(&self, worker: usize) -> impl std::ops::DerefMut<Target = [T]> {
        let other = || {
            let mut spaces = self.0.iter().rev().filter_map(unlocked);
            spaces.find_map(|mut space| space.make().is_ok().then_some(space))
        };
        let wait = || self.0[worker].lock().unwrap_or_else(PoisonError::into_inner);
        // Another call may have failed to make it for want of memory.
        let own = unlocked(&self.0[worker]).filter(|space| !space.elements.is_empty());
        Slice(own.or_else(other).unwrap_or_else(wait))
    }
}

impl<T: Real> Space<T> {
    fn make(&mut self) -> Result<(), Error> {
        if self.elements.is_empty() {
            self.elements = zeros(scratch::<T>() + 64)?;
            self.start = self.elements.as_ptr().align_offset(64).min(64);
        }
        Ok(())
    }
}

/// A lock, where nobody has it. What a panic left behind it is taken as it is.
pub fn unlocked<T>(of: &Mutex<T>) -> Option<MutexGuard<'_, T>> {
    match of.try_lock() {
        Ok(guard) => Some(guard),
        Err(TryLockError::Poisoned(guard)) => Some(guard.into_inner()),
        Err(TryLockError::WouldBlock) => None,
    }
}

impl<T: Real> Default for Scratch<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T: Real> Clone for Scratch<T> {
    /// What it holds means nothing.
    fn clone(&self) -> Self {
        Self::new()
    }
}

struct Slice<'a, T>(MutexGuard<'a, Space<T>>);

impl<T> std::ops::Deref for Slice<'_, T> {
    type Target = [T];
    fn deref(&self) -> &[T] {
        &self.0.elements[self.0.start..]
    }
}

impl<T> std::ops::DerefMut for Slice<'_, T> {
    fn deref_mut(&mut self) -> &mut [T] {
        let Space { elements, start } = &mut *self.0;
        &mut elements[*start..]
    }
}

/// An instruction set, workers, and their scratch.
#[derive(Clone, Copy)]
pub struct Team<'a, T> {
    /// The instruction set of the kernels.
    pub isa: Isa,
    /// The workers.
    pub crew: &'a dyn Crew,
    /// Prepared for that many workers.
    pub scratch: &'a Scratch<T>,
}

/// So many elements are filled at least where workers share it.
const SHARED: usize = 1 << 14;

impl<T: Real> Team<'_, T> {
    /// Calls `fill` for pieces of `to` (rows, n), each some whole rows, with the first row of each.
    pub fn fill_rows(&self, to: &mut [T], n: usize, fill: &(dyn Fn(usize, &mut [T]) + Sync)) {
        if to.len() < SHARED || self.crew.workers() == 1 {
            return fill(0, to);
        }
        let rows = to.len() / n;
        let size = rows.div_ceil(2 * self.crew.workers());
        let start = Start(to.as_mut_ptr());
        self.crew.share(rows.div_ceil(size), &|_, chunk| {
            let (first, count) = (chunk * size, size.min(rows - chunk * size));
            // SAFETY: the rows lie within `to`, and each chunk is handed out once.
            let piece =
                unsafe { std::slice::from_raw_parts_mut(start.get().add(first * n), count * n) };
            fill(first, piece);
        });
    }
}

impl<T> fmt::Debug for Team<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Team of {} on {}", self.crew.workers(), self.isa.name())
    }
}
