/* The floating-point control register of the calling thread, for test_rules_machine.py. */

#if defined(__x86_64__)
#include <xmmintrin.h>
unsigned long control(void) { return _mm_getcsr() & ~0x3Ful; } /* without the flags */
void set_control(unsigned long value) { _mm_setcsr((unsigned)value); }
#elif defined(__aarch64__)
unsigned long control(void) {
    unsigned long value;
    __asm__ volatile("mrs %0, fpcr" : "=r"(value));
    return value;
}
void set_control(unsigned long value) { __asm__ volatile("msr fpcr, %0" : : "r"(value)); }
#else
#error "rule 12 is not written for this processor"
#endif
