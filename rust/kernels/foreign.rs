//! Memory that is not ours: a caller's array, which other threads may write to while it is read.
//!
//! Nobody can keep them from it: whoever has the array may, and many a function of NumPy lets the
//! interpreter go while it writes. So such elements are copied once, and then what is checked is what is
//! used; or they are multiplied where they lie, and checked by what comes of it. Each byte that is read is
//! one that stood there at some time; where nobody writes, all are as they are. Where they are read again,
//! it is from the start, and what came of the first reading is dropped.

use std::marker::PhantomData;
use std::sync::atomic::{AtomicI64, AtomicU8, AtomicU32, AtomicU64, Ordering};

use super::memory::room;
use crate::error::Error;

/// Elements of which any bits are a value.
pub trait Bits: Copy + 'static {
    /// One that others may write to meanwhile.
    ///
    /// # Safety
    /// It is there, and aligned.
    unsafe fn read(from: *const Self) -> Self;
}

macro_rules! bits {
    ($($t:ty: $atomic:ty, $of:expr;)+) => {$(
        impl Bits for $t {
            #[inline(always)]
            unsafe fn read(from: *const Self) -> Self {
                // SAFETY: the caller's word; a relaxed load needs no more.
                $of(unsafe { (*from.cast::<$atomic>()).load(Ordering::Relaxed) })
            }
        }
    )+};
}

bits! {
    u8: AtomicU8, u8::from;
    i64: AtomicI64, i64::from;
    f32: AtomicU32, f32::from_bits;
    f64: AtomicU64, f64::from_bits;
}

/// Elements side by side, to be copied.
#[derive(Clone, Copy, Debug)]
pub struct Foreign<'a, T> {
    start: *const T,
    len: usize,
    /// They stay where they are so long.
    stay: PhantomData<&'a [T]>,
}

// SAFETY: elements are read only by what is meant for threads that write to them meanwhile:
// `copy_bytes`, `Bits::read`, the listings, and what `Simd` loads as foreign.
unsafe impl<T: Bits> Send for Foreign<'_, T> {}
// SAFETY: likewise.
unsafe impl<T: Bits> Sync for Foreign<'_, T> {}

impl<'a, T: Bits> From<&'a [T]> for Foreign<'a, T> {
    fn from(elements: &'a [T]) -> Self {
        Self { start: elements.as_ptr(), len: elements.len(), stay: PhantomData }
    }
}

#[cfg(feature = "python")]
impl<'a, T: Bits> Foreign<'a, T> {
    /// The elements of an array, row by row, if they lie side by side and aligned in memory.
    ///
    /// The array is held for as long, so that NumPy does not free it. Whoever lets the interpreter
    /// go meanwhile also holds a weak reference, which keeps NumPy from resizing it.
    #[must_use]
    pub fn of<D>(array: &'a pyo3::Bound<'_, numpy::PyArray<T, D>>) -> Option<Self>
    where
        T: numpy::Element,
        D: numpy::ndarray::Dimension,
    {
        use numpy::{PyArrayMethods, PyUntypedArrayMethods};
        let (start, len) = (array.data().cast_const(), array.len());
        let fits = array.is_c_contiguous() && start.is_aligned();
        fits.then_some(Self { start, len, stay: PhantomData })
    }
}

impl<T: Bits> Foreign<'_, T> {
    /// How many elements.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are no elements.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// `count` of them from `first` on.
    ///
    /// # Panics
    /// Where there are fewer.
    #[inline]
    #[must_use]
    pub fn part(&self, first: usize, count: usize) -> Self {
        assert!(first <= self.len && count <= self.len - first, "no such elements");
        Self { start: self.start.wrapping_add(first), len: count, ..*self }
    }

    /// Where the first of them lies: not to be read but as [`copy_bytes`] and [`Bits::read`] do.
    pub(super) fn start(&self) -> *const T {
        self.start
    }

    /// The one behind so many.
    ///
    /// # Panics
    /// Where there is none.
    #[inline(always)]
    #[must_use]
    pub fn element(&self, at: usize) -> T {
        assert!(at < self.len, "no such element");
        // SAFETY: it is there. Slices are aligned, and what `of` takes.
        unsafe { T::read(self.start.add(at)) }
    }

    /// A copy of all, on huge pages where they are many.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`].
    pub fn to_vec(&self) -> Result<Vec<T>, Error> {
        let mut elements = room(self.len)?;
        // SAFETY: the elements are there, there is room for them, and any bits make one.
        unsafe {
            let to: *mut T = elements.as_mut_ptr();
            copy_bytes(self.start.cast(), to.cast(), self.len * size_of::<T>());
            elements.set_len(self.len);
        }
        Ok(elements)
    }

    /// Copies the elements from `first` on.
    ///
    /// # Panics
    /// Where there are fewer.
    #[inline]
    pub fn copy(&self, first: usize, to: &mut [T]) {
        let part = self.part(first, to.len());
        // SAFETY: the elements are there, and any bits make one; `to` is ours alone.
        unsafe { copy_bytes(part.start.cast(), to.as_mut_ptr().cast(), size_of_val(to)) };
    }
}

/// Inputs (n, n_in), row by row: ours, or a caller's that other threads may write to.
#[derive(Clone, Copy, Debug)]
pub enum Source<'a, T> {
    /// Numbers as they are.
    Values(Foreign<'a, T>),
    /// Pixels; a network sees value / 255.
    Pixels(Foreign<'a, u8>),
}

/// Copies bytes that others may write to meanwhile: the language has no such copy but by atomic loads.
///
/// # Safety
/// So many bytes can be read at `from`, and written at `to`, where no one else is.
#[inline]
pub(super) unsafe fn copy_bytes(from: *const u8, to: *mut u8, count: usize) {
    // SAFETY: the caller's word; a relaxed load needs no more than memory that can be read.
    unsafe {
        let done = copy_blocks(from, to, count);
        for at in done..count {
            let byte = (*from.add(at).cast::<AtomicU8>()).load(Ordering::Relaxed);
            to.add(at).write(byte);
        }
    }
}

/// The bytes of a block.
#[cfg(target_arch = "x86_64")]
const SIZE: usize = 64;

/// Copies whole blocks, and returns how many bytes those are. What `asm!` reads is beyond the
/// language's rules on races: each load is as if it were atomic.
///
/// # Safety
/// As for [`copy_bytes`].
#[cfg(target_arch = "x86_64")]
#[inline]
unsafe fn copy_blocks(from: *const u8, to: *mut u8, count: usize) -> usize {
    let blocks = count / SIZE;
    if blocks > 0 {
        // SAFETY: every block lies within the bytes; registers and flags are told.
        unsafe {
            std::arch::asm!(
                "2:",
                "movups {a}, [{from}]",
                "movups {b}, [{from} + 16]",
                "movups {c}, [{from} + 32]",
                "movups {d}, [{from} + 48]",
                "movups [{to}], {a}",
                "movups [{to} + 16], {b}",
                "movups [{to} + 32], {c}",
                "movups [{to} + 48], {d}",
                "add {from}, 64",
                "add {to}, 64",
                "dec {blocks}",
                "jnz 2b",
                from = inout(reg) from => _,
                to = inout(reg) to => _,
                blocks = inout(reg) blocks => _,
                a = out(xmm_reg) _,
                b = out(xmm_reg) _,
                c = out(xmm_reg) _,
                d = out(xmm_reg) _,
                options(nostack),
            );
        }
    }
    blocks * SIZE
}

/// Copies four bytes at a time, where both lie so, and returns how many bytes that makes.
///
/// # Safety
/// As for [`copy_bytes`].
#[cfg(not(target_arch = "x86_64"))]
#[inline]
unsafe fn copy_blocks(from: *const u8, to: *mut u8, count: usize) -> usize {
    use std::sync::atomic::AtomicU32;
    let (from, to) = (from.cast::<AtomicU32>(), to.cast::<u32>());
    if !from.is_aligned() || !to.is_aligned() {
        return 0;
    }
    for at in 0..count / 4 {
        // SAFETY: the word lies within the bytes.
        unsafe { to.add(at).write((*from.add(at)).load(Ordering::Relaxed)) };
    }
    count / 4 * 4
}

#[cfg(test)]
impl<'a> Foreign<'a, u8> {
    /// The numbers that the bytes make.
    #[expect(clippy::cast_ptr_alignment, reason = "it is looked at")]
    pub(super) fn numbers(&self) -> Foreign<'a, f64> {
        let start = self.start.cast::<f64>();
        assert!(start.is_aligned());
        Foreign { start, len: self.len / 8, stay: PhantomData }
    }

    /// Runs `f` on bytes that another thread writes to all the while: 0, 1 and 2.
    pub(super) fn in_flux(count: usize, f: impl FnOnce(Foreign<'_, u8>)) {
        use std::cell::UnsafeCell;
        use std::sync::atomic::AtomicBool;

        // From where numbers may begin.
        let words: Vec<AtomicU64> = (0..count.div_ceil(8)).map(|_| AtomicU64::new(0)).collect();
        // SAFETY: bytes that are atomic, too, and no more than there are.
        let bytes = unsafe { std::slice::from_raw_parts(words.as_ptr().cast::<AtomicU8>(), count) };
        let done = AtomicBool::new(false);
        // As atomic bytes may change under a shared borrow, so may what is copied.
        let start = bytes.as_ptr().cast::<UnsafeCell<u8>>().cast::<u8>();
        let foreign = Foreign { start, len: count, stay: PhantomData };
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    for value in [1, 0, 2] {
                        for byte in bytes {
                            byte.store(value, Ordering::Relaxed);
                        }
                    }
                }
            });
            let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| f(foreign)));
            done.store(true, Ordering::Relaxed); // else the scope would never end
            result.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        });
    }
}

#[cfg(test)]
mod tests {
    use super::{Bits, Foreign};

    /// Copies any part of some elements, and sees that nothing beside it is written to.
    fn copies_any_part<T: Bits + PartialEq + std::fmt::Debug>(elements: &[T], other: T) {
        let foreign = Foreign::from(elements);
        assert_eq!((foreign.len(), foreign.is_empty()), (elements.len(), false));
        for first in [0, 1, 2, 3, 63, 64, 65] {
            for count in (0..150).chain([elements.len() - first]) {
                let mut to = vec![other; count + 2];
                foreign.copy(first, &mut to[1..=count]);
                assert_eq!(to[1..=count], elements[first..first + count]);
                assert_eq!((to[0], to[count + 1]), (other, other));
                assert_eq!(foreign.part(first, count).to_vec().unwrap(), to[1..=count]);
            }
        }
    }

    #[test]
    fn it_copies_any_part() {
        let bytes: Vec<u8> = (0..1000_u32).map(|i| (i * i % 251) as u8).collect();
        copies_any_part(&bytes, 255);
        copies_any_part(&bytes.iter().map(|&x| f32::from(x)).collect::<Vec<_>>(), -1.0);
        copies_any_part(&bytes.iter().map(|&x| f64::from(x)).collect::<Vec<_>>(), -1.0);
        assert!(Foreign::<f32>::from(&[][..]).is_empty());
    }

    #[test]
    #[should_panic(expected = "no such elements")]
    fn it_does_not_leave_its_elements() {
        Foreign::from(&[1_u8, 2, 3][..]).copy(2, &mut [0; 2]);
    }

    #[test]
    fn it_copies_while_others_write() {
        Foreign::in_flux(4099, |foreign| {
            let mut to = vec![9; foreign.len()];
            for _ in 0..200 {
                foreign.copy(0, &mut to);
                assert!(to.iter().all(|&byte| byte <= 2));
            }
        });
    }
}
