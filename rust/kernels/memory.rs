//! Memory, and hints about it: they change when data arrive, never what is computed.

use std::sync::atomic::{AtomicUsize, Ordering};

use crate::error::Error;

pub(super) const LINE_BYTES: usize = 64; // of a cache line

/// How many bytes the first data cache of a core holds, at least 32 KB.
fn first_cache() -> usize {
    // The question takes a virtual machine tens of microseconds. No lock, in which a fork could catch
    // a thread: two that ask at a time are told the same.
    static BYTES: AtomicUsize = AtomicUsize::new(0);
    match BYTES.load(Ordering::Relaxed) {
        0 => {
            let bytes = told_first_cache().max(32 << 10);
            BYTES.store(bytes, Ordering::Relaxed);
            bytes
        }
        bytes => bytes,
    }
}

/// Whether the first data cache has room for more than a block of narrow weights and the tile that
/// meets it: 48 KB, where others have 32.
pub(super) fn is_first_cache_roomy() -> bool {
    first_cache() >= 48 << 10
}

/// As the processor tells it: 0 where it does not.
#[cfg(target_arch = "x86_64")]
// Reason: older compilers take the question for unsafe.
#[allow(unused_unsafe)]
fn told_first_cache() -> usize {
    use std::arch::x86_64::{__cpuid, __cpuid_count};

    // Intel's list of caches, and AMD's, which has the same form.
    for leaf in [0x4, 0x8000_001D] {
        // SAFETY: every processor of the kind answers; so below.
        if unsafe { __cpuid(leaf & 0x8000_0000) }.eax >= leaf {
            let mut told = (0..4).map(|i| unsafe { __cpuid_count(leaf, i) });
            if let Some(bytes) = told.find_map(|told| data_cache(told.eax, told.ebx, told.ecx)) {
                return bytes;
            }
        }
    }
    0
}

/// How many bytes the cache holds that these registers tell of, where it is a first one, of data.
#[cfg(target_arch = "x86_64")]
fn data_cache(eax: u32, ebx: u32, ecx: u32) -> Option<usize> {
    let (kind, level) = (eax & 31, eax >> 5 & 7);
    // Ways, partitions, bytes of a line, and sets; each is told less one.
    let factors = [ebx >> 22, ebx >> 12 & 1023, ebx & 4095, ecx];
    ((kind, level) == (1, 1)).then(|| factors.map(|n| n as usize + 1).iter().product())
}

#[cfg(not(target_arch = "x86_64"))]
fn told_first_cache() -> usize {
    0
}

/// Asks for the cache lines that hold a slice, for reading soon.
#[inline(always)]
pub fn prefetch<T>(slice: &[T]) {
    let start = slice.as_ptr().cast::<i8>();
    let mut at = 0;
    while at < size_of_val(slice) {
        fetch(start.wrapping_add(at));
        at += LINE_BYTES;
    }
}

/// Asks for the line of an address in the first cache.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
pub(super) fn fetch(address: *const i8) {
    use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
    // SAFETY: a hint; it reads nothing, whatever the address.
    unsafe { _mm_prefetch::<_MM_HINT_T0>(address) }
}

#[cfg(not(target_arch = "x86_64"))]
#[inline(always)]
pub(super) fn fetch(_address: *const i8) {}

/// Asks for the cache lines that hold `count` elements, for reading later: they wait in the second
/// cache, and what is in the first stays there. Any address will do.
#[inline(always)]
pub(super) fn fetch_far<T>(elements: *const T, count: usize) {
    let start = elements.cast::<i8>();
    // The last line may begin within the last step.
    for at in (0..count * size_of::<T>()).step_by(LINE_BYTES) {
        fetch_to_second(start.wrapping_add(at));
    }
    fetch_to_second(elements.wrapping_add(count).cast::<i8>().wrapping_sub(1));
}

/// Asks for the line of an address in the second cache.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
pub(super) fn fetch_to_second(address: *const i8) {
    use std::arch::x86_64::{_MM_HINT_T1, _mm_prefetch};
    // SAFETY: a hint; it reads nothing, whatever the address.
    unsafe { _mm_prefetch::<_MM_HINT_T1>(address) }
}

#[cfg(not(target_arch = "x86_64"))]
#[inline(always)]
pub(super) fn fetch_to_second(_address: *const i8) {}

/// Allocates `count` elements of 0, on huge pages where they are many.
///
/// # Errors
/// [`Error::OutOfMemory`].
pub fn zeros<T: Copy + Default>(count: usize) -> Result<Vec<T>, Error> {
    let mut elements = room(count)?;
    elements.resize(count, T::default());
    Ok(elements)
}

/// Copies a slice, onto huge pages where it is long.
///
/// # Errors
/// [`Error::OutOfMemory`].
pub fn copied<T: Copy>(slice: &[T]) -> Result<Vec<T>, Error> {
    let mut elements = room(slice.len())?;
    elements.extend_from_slice(slice);
    Ok(elements)
}

/// Room for so many elements, on huge pages where they are many.
///
/// # Errors
/// [`Error::OutOfMemory`].
pub(super) fn room<T>(count: usize) -> Result<Vec<T>, Error> {
    let mut elements = Vec::new();
    let reserved = elements.try_reserve_exact(count);
    reserved.map_err(|_| Error::OutOfMemory { elements: count })?;
    advise_huge(&mut elements);
    Ok(elements)
}

/// Lets the system back the room of a vector by huge pages, where it is large and still empty.
///
/// Rows that are read in random order, and matrices that are read column by column, then miss the
/// address cache less often.
pub fn advise_huge<T>(empty: &mut Vec<T>) {
    debug_assert!(empty.is_empty(), "pages that are in use stay as they are");
    let bytes = empty.capacity().saturating_mul(size_of::<T>());
    advise(empty.as_mut_ptr().cast(), bytes);
}

/// What a huge page holds on x86-64, and on most other processors.
#[cfg(target_os = "linux")]
const HUGE: usize = 2 << 20;

#[cfg(target_os = "linux")]
fn advise(start: *mut u8, bytes: usize) {
    use std::ffi::{c_int, c_void};

    const MADV_HUGEPAGE: c_int = 14;
    unsafe extern "C" {
        /// Of the C library, which the standard library links in any case.
        fn madvise(start: *mut c_void, bytes: usize, advice: c_int) -> c_int;
    }
    let first = start.addr().next_multiple_of(HUGE) - start.addr();
    if let Some(whole) = bytes.checked_sub(first).map(|rest| rest / HUGE * HUGE).filter(|&n| n > 0)
    {
        // SAFETY: the range lies in an allocation of ours, and the advice changes no content. A
        // system without huge pages refuses it, which does not matter.
        unsafe { madvise(start.wrapping_add(first).cast(), whole, MADV_HUGEPAGE) };
    }
}

#[cfg(not(target_os = "linux"))]
fn advise(_start: *mut u8, _bytes: usize) {}

#[cfg(test)]
mod tests {
    use super::{advise_huge, copied, first_cache, prefetch, zeros};
    use crate::error::Error;

    #[cfg(target_arch = "x86_64")]
    #[test]
    fn first_caches_of_data_are_known_by_their_registers() {
        use super::data_cache;
        let (twelve, eight) = (0x02C0_003F, 0x01C0_003F); // ways of 64 sets of 64 bytes
        assert_eq!(data_cache(0x21, twelve, 63), Some(48 << 10));
        assert_eq!(data_cache(0x0400_4121, eight, 63), Some(32 << 10));
        for (eax, which) in [(0x22, "instructions"), (0x41, "a second one"), (0, "none")] {
            assert_eq!(data_cache(eax, eight, 63), None, "{which}");
        }
    }

    /// As the system tells it, which asks the processor by itself.
    #[cfg(all(target_arch = "x86_64", target_os = "linux"))]
    #[test]
    fn the_first_cache_is_as_the_system_has_it() {
        let folder = "/sys/devices/system/cpu/cpu0/cache";
        let read = |i, what| std::fs::read_to_string(format!("{folder}/index{i}/{what}")).ok();
        let is_ours = |&i: &usize| {
            read(i, "level").as_deref() == Some("1\n")
                && read(i, "type").as_deref() == Some("Data\n")
        };
        let Some(size) = (0..4).find(is_ours).and_then(|i| read(i, "size")) else {
            eprintln!("not run: the system tells of no caches");
            return;
        };
        let told: usize = size.trim_end().trim_end_matches('K').parse().unwrap();
        assert_eq!(first_cache(), (told << 10).max(32 << 10));
    }

    #[test]
    fn many_are_as_few() {
        for count in [0, 3, 5 << 20] {
            let made = zeros::<u16>(count).unwrap();
            assert!(made.len() == count && made.iter().all(|&x| x == 0));
            assert_eq!(copied(&made).unwrap(), made);
        }
        let elements = isize::MAX as usize;
        assert_eq!(zeros::<u16>(elements), Err(Error::OutOfMemory { elements }));
    }

    #[test]
    fn hints_change_nothing() {
        let mut large = Vec::<u16>::with_capacity(5 << 20);
        advise_huge(&mut large);
        large.resize(5 << 20, 7);
        prefetch(&large[..1000]);
        prefetch::<u8>(&[]);
        assert!(large.iter().all(|&x| x == 7));
        advise_huge(&mut Vec::<u8>::new());
        advise_huge(&mut Vec::<()>::new());
    }
}
