//! Worker threads, owned by the process.
//!
//! They spin while a crew works, so that sharing a product costs well under a microsecond, and
//! sleep otherwise. After a fork the child makes its own. Where a thread cannot be had there are
//! fewer; where other programs hold up a worker, its crew works alone for a while, and so it does
//! where turns of work take longer together than alone (`gauge.rs`).

// Reason: a job borrows from the stack of the thread that shares it, and threads that outlive the
// job can be handed such a borrow only as a pointer. `std::thread::scope` would start threads anew
// for every product.
#![allow(unsafe_code)]

mod gauge;
mod parts;

use std::cell::UnsafeCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use crate::kernels::fpu;
use crate::kernels::gemm::{Alone, Crew, MAX_WORKERS};
use gauge::{Gauges, Work};
use parts::{Chunks, Parts};

/// How often a worker looks for a job before it lets others have the core.
const SPINS: u32 = 2_000;

/// How often it then does so, once its crew is gone, before it sleeps: the next slice of steps comes
/// after a moment, and waking takes far longer.
const YIELDS: u32 = 500;

/// A worker that is later than this, and than two chunks take, was held up by another program.
const LATE: Duration = Duration::from_micros(300);

/// How many microseconds a crew may wait for late workers within which time, before it rests: a hitch
/// now and then costs less than working alone.
const PATIENCE: (u64, u64) = (10_000, 50_000);

/// For how long a crew then works alone: at first, and at most.
const REST: (u64, u64) = (20_000, 1_000_000);

/// What the workers share.
struct Pool {
    /// The process that the threads belong to.
    process: u32,
    /// Whether a crew is at work.
    taken: AtomicBool,
    /// Number of the job, whether it is open ([`OPEN`]), and how many workers are at it.
    state: AtomicU64,
    /// How many workers the crew wants, the calling thread included: one while it works alone.
    workers: AtomicUsize,
    /// The chunks of the job that are left, by worker.
    parts: Parts,
    /// Whether a job is being shared, and whether a worker panicked in it.
    sharing: AtomicBool,
    panicked: AtomicBool,
    /// The job; written only while it is closed and no worker is at it.
    job: UnsafeCell<Option<Job>>,
    /// The threads, as far as they could be started, and how many of them have begun.
    threads: Mutex<Vec<Thread>>,
    begun: AtomicUsize,
    /// Since which microsecond after `start` how many microseconds were waited for late workers.
    late_since: AtomicU64,
    late: AtomicU64,
    /// Microseconds since `start` until which crews work alone, and the length of the next rest.
    rest_until: AtomicU64,
    rest: AtomicU64,
    /// The workers that took chunks in turns of the present crew that have ended, and in the present
    /// one, a bit each; and the chunks of its largest job.
    helped: AtomicU64,
    came: AtomicU64,
    most: AtomicUsize,
    /// Which turns of work are quicker together, and whether the present one is taken alone.
    gauges: Mutex<Gauges>,
    alone: AtomicBool,
    start: Instant,
}

/// Chunks, and what is done with each.
#[derive(Clone, Copy)]
struct Job {
    chunks: usize,
    workers: usize,
    work: *const (dyn Fn(usize, usize) + Sync),
}

// SAFETY: `job` is written by the one thread that has set `sharing`, while the job is closed and no
// worker is at it, and read by workers that have entered an open job: `state` orders the two.
// Everything else is atomic or behind a lock.
unsafe impl Sync for Pool {}
// SAFETY: the pointer in `job` is to something `Sync`.
unsafe impl Send for Pool {}

/// The job can be entered.
const OPEN: u64 = 1 << 31;
/// One job further.
const JOB: u64 = 1 << 32;
/// The workers at a job.
const COUNT: u64 = OPEN - 1;

/// Runs `f` with a crew of at most so many workers, the calling thread included. Also tells how
/// many of them did something.
///
/// Where another thread of the process has the workers, or none can be had, the caller is alone.
pub fn with<R>(threads: usize, f: impl FnOnce(&dyn Crew) -> R) -> (R, usize) {
    let threads = threads.min(MAX_WORKERS);
    let Some(party) = (threads > 1).then(|| Party::new(threads)).flatten() else {
        return (f(&Alone), 1);
    };
    let result = f(&party);
    let pool = party.pool;
    let helped = pool.helped.load(Ordering::Relaxed) | pool.came.load(Ordering::Relaxed);
    (result, 1 + helped.count_ones() as usize)
}

/// The pool of this process; none where its lock is taken: by a thread that begins at the same time,
/// or for ever where a fork has caught it.
fn pool() -> Option<&'static Pool> {
    static POOL: Mutex<Option<&'static Pool>> = Mutex::new(None);
    let mut pool = match POOL.try_lock() {
        Ok(pool) => pool,
        Err(std::sync::TryLockError::Poisoned(pool)) => pool.into_inner(),
        Err(std::sync::TryLockError::WouldBlock) => return None,
    };
    let process = std::process::id();
    match *pool {
        Some(pool) if pool.process == process => Some(pool),
        // The first in this process; what a parent left belongs to threads that are not here.
        _ => Some(*pool.insert(Box::leak(Box::new(Pool::new(process))))),
    }
}

/// A crew of the pool, while it lives.
struct Party {
    pool: &'static Pool,
    workers: usize,
}

impl Party {
    fn new(threads: usize) -> Option<Self> {
        let pool = pool()?;
        if pool.taken.swap(true, Ordering::Acquire) {
            return None;
        }
        let started = pool.start_threads(threads - 1);
        let workers = 1 + started.min(threads - 1);
        pool.helped.store(0, Ordering::Relaxed);
        pool.came.store(0, Ordering::Relaxed);
        pool.most.store(0, Ordering::Relaxed);
        pool.alone.store(false, Ordering::Relaxed);
        pool.workers.store(workers, Ordering::Release);
        pool.wake(workers - 1);
        Some(Self { pool, workers })
    }
}

impl Drop for Party {
    fn drop(&mut self) {
        let came = self.pool.came(self.workers);
        self.pool.gauges().end(self.pool.start.elapsed(), came);
        self.pool.workers.store(1, Ordering::Release);
        self.pool.taken.store(false, Ordering::Release);
    }
}

// SAFETY: [`Pool::share`] hands each chunk out once, and a worker takes one at a time.
unsafe impl Crew for Party {
    fn workers(&self) -> usize {
        self.workers
    }

    fn turn(&self, work: usize) {
        if self.workers > 1 {
            self.pool.turn((work, self.workers));
        }
    }

    fn share(&self, chunks: usize, work: &(dyn Fn(usize, usize) + Sync)) {
        self.pool.most.fetch_max(chunks, Ordering::Relaxed);
        let alone = || self.pool.alone.load(Ordering::Relaxed) || self.pool.rests();
        if chunks < 2 || self.workers < 2 || alone() {
            return Alone.share(chunks, work);
        }
        self.pool.share(chunks, work, self.workers);
    }
}

impl Pool {
    /// Of a process, without a thread yet.
    fn new(process: u32) -> Self {
        Self {
            process,
            taken: AtomicBool::new(false),
            state: AtomicU64::new(0),
            workers: AtomicUsize::new(1),
            parts: Parts::new(),
            sharing: AtomicBool::new(false),
            panicked: AtomicBool::new(false),
            job: UnsafeCell::new(None),
            threads: Mutex::new(Vec::new()),
            begun: AtomicUsize::new(0),
            late_since: AtomicU64::new(0),
            late: AtomicU64::new(0),
            rest_until: AtomicU64::new(0),
            rest: AtomicU64::new(REST.0),
            helped: AtomicU64::new(0),
            came: AtomicU64::new(0),
            most: AtomicUsize::new(0),
            gauges: Mutex::new(Gauges::new()),
            alone: AtomicBool::new(false),
            start: Instant::now(),
        }
    }

    /// Starts threads until there are so many, or no more can be had; returns how many there are.
    fn start_threads(&'static self, count: usize) -> usize {
        let mut threads = self.threads.lock().unwrap_or_else(PoisonError::into_inner);
        while threads.len() < count {
            let worker = threads.len() + 1;
            let builder = thread::Builder::new().name(format!("chainrule {worker}"));
            match builder.spawn(move || self.serve(worker)) {
                Ok(handle) => threads.push(handle.thread().clone()),
                Err(_) => break,
            }
        }
        // A thread allocates while it begins; after that nothing does.
        while self.begun.load(Ordering::Acquire) < threads.len() {
            thread::yield_now();
        }
        threads.len()
    }

    fn wake(&self, count: usize) {
        let threads = self.threads.lock().unwrap_or_else(PoisonError::into_inner);
        threads.iter().take(count).for_each(Thread::unpark);
    }

    /// The life of a worker.
    fn serve(&self, worker: usize) {
        let _guard = fpu::Guard::new();
        self.begun.fetch_add(1, Ordering::Release);
        let (mut seen, mut spins) = (0, 0);
        loop {
            let state = self.state.load(Ordering::Acquire);
            let wanted = worker < self.workers.load(Ordering::Acquire);
            if !wanted && spins >= SPINS + YIELDS {
                thread::park();
            } else if wanted && state & OPEN != 0 && state / JOB != seen {
                let entered = self.state.compare_exchange_weak(
                    state,
                    state + 1,
                    Ordering::AcqRel,
                    Ordering::Relaxed,
                );
                if entered.is_ok() {
                    (seen, spins) = (state / JOB, 0);
                    self.work(worker, seen);
                    self.state.fetch_sub(1, Ordering::Release);
                }
            } else if spins < SPINS {
                spins += 1;
                std::hint::spin_loop();
            } else {
                spins = spins.saturating_add(1);
                thread::yield_now();
            }
        }
    }

    /// Takes chunks of a job that the worker has entered, until there are none.
    fn work(&self, worker: usize, number: u64) {
        // SAFETY: the worker has entered an open job, whose publication it has thereby seen; the
        // job is not written, and what it borrows lives, until the worker has left.
        let Some(Job { chunks, workers, work }) = (unsafe { *self.job.get() }) else { return };
        // SAFETY: likewise.
        let work = unsafe { &*work };
        let all = || {
            for chunk in Chunks::new(&self.parts, number, (chunks, workers), worker) {
                let bit = 1 << worker;
                if self.came.load(Ordering::Relaxed) & bit == 0 {
                    self.came.fetch_or(bit, Ordering::Relaxed);
                }
                work(worker, chunk);
            }
        };
        if catch_unwind(AssertUnwindSafe(all)).is_err() {
            self.panicked.store(true, Ordering::Relaxed);
        }
    }

    /// Publishes a job, takes part in it, and waits for those who do too.
    ///
    /// # Panics
    /// Where `work` does, or shares a job itself; the pool stays as it was.
    fn share(&self, chunks: usize, work: &(dyn Fn(usize, usize) + Sync), workers: usize) {
        /// Closes the job and waits, also where the caller's own part panics.
        struct Closing<'a> {
            pool: &'a Pool,
            began: Instant,
            own_chunks: u32,
        }
        impl Drop for Closing<'_> {
            fn drop(&mut self) {
                let chunk = self.began.elapsed() / self.own_chunks.max(1);
                self.pool.close(LATE + 2 * chunk);
                self.pool.sharing.store(false, Ordering::Release);
            }
        }
        let shares = self.sharing.swap(true, Ordering::Acquire);
        assert!(!shares, "a crew shares one job at a time");
        // SAFETY: nobody else shares, so the job is closed and no worker is at it. The lifetime is
        // forgotten: `close` returns only when no worker can reach the borrow any more.
        unsafe {
            let work: &'static (dyn Fn(usize, usize) + Sync) = std::mem::transmute(work);
            *self.job.get() = Some(Job { chunks, workers, work: &raw const *work });
        }
        self.panicked.store(false, Ordering::Relaxed); // of a job whose own thread panicked too
        let number = (self.state.load(Ordering::Relaxed) / JOB + 1) & (u64::MAX / JOB);
        if number == 0 {
            self.parts.forget(); // numbers begin anew
        }
        self.state.store((number * JOB) | OPEN, Ordering::Release);
        {
            let mut closing = Closing { pool: self, began: Instant::now(), own_chunks: 0 };
            for chunk in Chunks::new(&self.parts, number, (chunks, workers), 0) {
                work(0, chunk);
                closing.own_chunks += 1;
            }
        }
        assert!(!self.panicked.swap(false, Ordering::Relaxed), "a worker thread panicked");
    }

    /// A turn of such work begins, and the last one has ended. Where it is taken alone the others
    /// leave their cores after a moment.
    fn turn(&self, work: Work) {
        let came = self.came(work.1);
        let alone = {
            let mut gauges = self.gauges();
            if self.rests() {
                gauges.ignore();
                true
            } else {
                gauges.begin(work, self.start.elapsed(), came)
            }
        };
        if alone == self.alone.swap(alone, Ordering::Relaxed) {
            return;
        }
        let workers = if alone { 1 } else { work.1 };
        self.workers.store(workers, Ordering::Release);
        self.wake(workers - 1);
    }

    /// A turn of so many workers has ended: whether all of the others that its jobs had chunks for took
    /// some.
    fn came(&self, workers: usize) -> bool {
        let came = self.came.swap(0, Ordering::Relaxed);
        self.helped.fetch_or(came, Ordering::Relaxed);
        let wanted = workers.min(self.most.swap(0, Ordering::Relaxed));
        came.count_ones() as usize + 1 >= wanted
    }

    fn gauges(&self) -> MutexGuard<'_, Gauges> {
        self.gauges.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets no more workers enter, and waits until none is left; one that takes more than `patience`
    /// is late.
    fn close(&self, patience: Duration) {
        self.state.fetch_and(!OPEN, Ordering::AcqRel);
        let mut spins = 0;
        let mut since = None;
        while self.state.load(Ordering::Acquire) & COUNT != 0 {
            spins += 1;
            if spins < SPINS {
                std::hint::spin_loop();
            } else {
                since.get_or_insert_with(Instant::now);
                thread::yield_now();
            }
        }
        if let Some(waited) = since.map(|since: Instant| since.elapsed())
            && waited > patience
        {
            self.was_late(waited);
        }
    }

    /// Lets crews rest for a while where they have waited too much of late.
    #[expect(clippy::cast_possible_truncation, reason = "no wait is half a million years")]
    fn was_late(&self, waited: Duration) {
        let now = self.now();
        if now > self.late_since.load(Ordering::Relaxed) + PATIENCE.1 {
            self.late_since.store(now, Ordering::Relaxed);
            self.late.store(0, Ordering::Relaxed);
        }
        let waited = waited.as_micros() as u64;
        if self.late.fetch_add(waited, Ordering::Relaxed) + waited > PATIENCE.0 {
            let rest = self.rest.load(Ordering::Relaxed);
            self.rest_until.store(now + rest, Ordering::Relaxed);
            self.rest.store((2 * rest).min(REST.1), Ordering::Relaxed);
            self.late_since.store(0, Ordering::Relaxed);
        }
    }

    /// Whether crews work alone for now.
    fn rests(&self) -> bool {
        let until = self.rest_until.load(Ordering::Relaxed);
        if until == 0 {
            return false;
        }
        let now = self.now();
        if now < until {
            return true;
        }
        if now > until + 2 * REST.1 {
            // A long time without being held up: the next rest is short again.
            self.rest.store(REST.0, Ordering::Relaxed);
            self.rest_until.store(0, Ordering::Relaxed);
        }
        false
    }

    #[expect(clippy::cast_possible_truncation, reason = "half a million years of microseconds")]
    fn now(&self) -> u64 {
        self.start.elapsed().as_micros() as u64
    }
}

#[cfg(test)]
mod tests;
