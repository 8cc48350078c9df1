//! Who takes which chunk of a job.

use std::sync::atomic::{AtomicU64, Ordering};

use super::JOB;
use crate::kernels::gemm::MAX_WORKERS;

/// How many chunks of each worker's part are taken. Each worker has the same part of like jobs, so
/// that what it has in its cache stays there, and a line of memory of its own to take from it.
#[derive(Debug)]
pub(super) struct Parts([Part; MAX_WORKERS]);

/// The number of the job that was last taken from, and how many chunks were.
#[derive(Debug)]
#[repr(align(128))] // two lines: they are fetched in pairs
struct Part(AtomicU64);

impl Parts {
    pub(super) const fn new() -> Self {
        Self([const { Part(AtomicU64::new(0)) }; MAX_WORKERS])
    }

    /// Nothing is taken of any job.
    pub(super) fn forget(&self) {
        self.0.iter().for_each(|part| part.0.store(0, Ordering::Relaxed));
    }
}

impl Part {
    /// The next of so many chunks, if one is left.
    fn take(&self, number: u64, chunks: usize) -> Option<usize> {
        let mut seen = self.0.load(Ordering::Relaxed);
        loop {
            let taken = if seen / JOB == number { seen % JOB } else { 0 };
            if taken >= chunks as u64 {
                return None;
            }
            let next = (number * JOB) | (taken + 1);
            match self.0.compare_exchange_weak(seen, next, Ordering::Relaxed, Ordering::Relaxed) {
                #[expect(clippy::cast_possible_truncation, reason = "less than `chunks`")]
                Ok(_) => return Some(taken as usize),
                Err(now) => seen = now,
            }
        }
    }
}

/// The chunks of a job that one worker takes: its own, then those that others have left.
pub(super) struct Chunks<'a> {
    parts: &'a Parts,
    number: u64,
    count: usize,
    workers: usize,
    worker: usize,
    /// Of so many workers' parts nothing is left.
    done: usize,
}

impl<'a> Chunks<'a> {
    /// For one worker of a job of that number; nobody has that of another job at the same time.
    pub(super) fn new(
        parts: &'a Parts,
        number: u64,
        (count, workers): (usize, usize),
        worker: usize,
    ) -> Self {
        Self { parts, number, count, workers, worker, done: 0 }
    }
}

impl Iterator for Chunks<'_> {
    type Item = usize;

    fn next(&mut self) -> Option<usize> {
        while self.done < self.workers {
            let part = (self.worker + self.done) % self.workers;
            let first = |part| part * self.count / self.workers;
            let length = first(part + 1) - first(part);
            if let Some(chunk) = self.parts.0[part].take(self.number, length) {
                return Some(first(part) + chunk);
            }
            self.done += 1;
        }
        None
    }
}

#[cfg(test)]
#[path = "parts_tests.rs"]
mod tests;
