//! The processor's floating-point control: round to nearest, subnormals kept (rule 12 of
//! `docs/exactness.md`), whatever another library has set.
//!
//! Rust takes the default settings for granted, so nothing may be computed outside [`exact`] that
//! has to be exact; there it is.

#[cfg(target_arch = "x86_64")]
use std::arch::asm;
use std::marker::PhantomData;

/// Runs `f` with round to nearest and subnormals kept, and then restores the thread's settings.
pub fn exact<R>(f: impl FnOnce() -> R) -> R {
    /// A call of its own, so that no arithmetic is moved out of it.
    #[inline(never)]
    fn call<R>(f: impl FnOnce() -> R) -> R {
        f()
    }
    let _guard = Guard::new();
    call(f)
}

/// While it lives, its thread rounds to nearest and keeps subnormals; dropped, it restores.
#[derive(Debug)]
pub struct Guard {
    before: u64,
    /// The register belongs to the thread.
    not_send: PhantomData<*const ()>,
}

impl Guard {
    /// Sets the control register.
    #[must_use]
    pub fn new() -> Self {
        let before = control();
        set_control(EXACT);
        Self { before, not_send: PhantomData }
    }
}

impl Default for Guard {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        set_control(self.before);
    }
}

/// Every exception masked, round to nearest, neither flush-to-zero nor denormals-are-zero.
#[cfg(target_arch = "x86_64")]
const EXACT: u64 = 0x1F80;
/// Round to nearest, no flush-to-zero, no trap.
#[cfg(not(target_arch = "x86_64"))]
const EXACT: u64 = 0;

/// MXCSR.
#[cfg(target_arch = "x86_64")]
fn control() -> u64 {
    let mut value = 0_u32;
    // SAFETY: writes the register to the four bytes that the pointer names.
    unsafe { asm!("stmxcsr [{}]", in(reg) &raw mut value, options(nostack, preserves_flags)) };
    u64::from(value)
}

#[cfg(target_arch = "x86_64")]
#[expect(clippy::cast_possible_truncation, reason = "the register has 32 bits")]
fn set_control(value: u64) {
    let value = value as u32;
    // SAFETY: the value is `EXACT` or was read from the register, so no reserved bit is set.
    unsafe { asm!("ldmxcsr [{}]", in(reg) &raw const value, options(nostack, preserves_flags)) };
}

/// FPCR.
#[cfg(target_arch = "aarch64")]
fn control() -> u64 {
    let value: u64;
    // SAFETY: reads a register that user code may read.
    unsafe { std::arch::asm!("mrs {}, fpcr", out(reg) value, options(nostack, preserves_flags)) };
    value
}

#[cfg(target_arch = "aarch64")]
fn set_control(value: u64) {
    // SAFETY: the value is `EXACT` or was read from the register.
    unsafe { std::arch::asm!("msr fpcr, {}", in(reg) value, options(nostack, preserves_flags)) };
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
fn control() -> u64 {
    EXACT
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
fn set_control(_value: u64) {}

/// Runs `f` as after another library has set flush-to-zero, denormals-are-zero and rounding up.
#[cfg(all(test, target_arch = "x86_64"))]
pub(crate) fn disturbed<R>(f: impl FnOnce() -> R) -> R {
    let original = control();
    set_control(0x8000 | 0x40 | 0x4000 | EXACT);
    let result = f();
    set_control(original);
    result
}

#[cfg(all(test, target_arch = "x86_64"))]
mod tests {
    use std::hint::black_box;

    use super::{EXACT, Guard, control, exact, set_control};

    /// Flush-to-zero, denormals-are-zero, round up.
    const DISTURBED: u64 = 0x8000 | 0x40 | 0x4000 | EXACT;

    fn half(x: f32) -> f32 {
        black_box(x) * black_box(0.5)
    }

    fn third() -> f64 {
        black_box(1.0) / black_box(3.0)
    }

    #[test]
    fn settings_of_another_library_change_nothing_and_come_back() {
        let expected = (half(f32::MIN_POSITIVE).to_bits(), third().to_bits());
        let original = control();
        set_control(DISTURBED);
        let disturbed = (half(f32::MIN_POSITIVE).to_bits(), third().to_bits());
        let guarded = exact(|| (half(f32::MIN_POSITIVE).to_bits(), third().to_bits()));
        let after = control();
        set_control(original);
        assert_ne!(disturbed.0, expected.0);
        assert_ne!(disturbed.1, expected.1);
        assert_eq!(guarded, expected);
        assert_eq!(after & !0x3F, DISTURBED, "the guard restores (flags aside)");
    }

    #[test]
    fn a_panic_restores_too() {
        let original = control();
        set_control(DISTURBED);
        let result = std::panic::catch_unwind(|| {
            let _guard = Guard::new();
            std::panic::resume_unwind(Box::new(()));
        });
        let after = control();
        set_control(original);
        assert!(result.is_err());
        assert_eq!(after & !0x3F, DISTURBED);
    }
}
