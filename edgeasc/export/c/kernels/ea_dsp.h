/* SPDX-License-Identifier: 0BSD OR Apache-2.0 */
/* Instructions of the Arm DSP extension (M4, M7, M33, M55) that kernels use, each with what it computes in C.
 *
 * EA_DSP is 1 where the compiler's target has them and reads words at any address, else 0: kernels then take their plain
 * path, which gives the same integers. A build with EA_DSP_IN_C takes the DSP path with the C below instead of the
 * instructions, so that a machine without them can check it. */
#ifndef EA_DSP_H
#define EA_DSP_H

#include <stdint.h>

#if defined(__ARM_FEATURE_DSP) && defined(__ARM_FEATURE_UNALIGNED) && defined(__thumb2__) && !defined(EA_PLAIN)
#define EA_DSP 1
#define EA_INSTRUCTION(text, result, expression, ...) __asm__(text : "=r"(result) : __VA_ARGS__)
#elif defined(EA_DSP_IN_C)
#define EA_DSP 1
#define EA_INSTRUCTION(text, result, expression, ...) ((result) = (expression))
#else
#define EA_DSP 0
#endif

#if EA_DSP

/* Two halves of a word as signed numbers, and two signed numbers as the halves of a word. */
static inline int32_t ea_low(uint32_t word)
{
    return (int16_t)(word & 0xFFFFu);
}

static inline int32_t ea_top(uint32_t word)
{
    return (int16_t)(word >> 16);
}

static inline uint32_t ea_halves(int32_t low, int32_t top)
{
    return ((uint32_t)low & 0xFFFFu) | (uint32_t)top << 16;
}

/* Four neighbouring values. */
static inline uint32_t ea_load4(const int8_t *p)
{
    uint32_t word;
    __builtin_memcpy(&word, p, sizeof word);
    return word;
}

/* Bytes 0 and 2, or 1 and 3, as halves. */
static inline uint32_t ea_even(uint32_t bytes)
{
    uint32_t r;
    EA_INSTRUCTION("sxtb16 %0, %1", r, ea_halves((int8_t)(bytes & 0xFFu), (int8_t)(bytes >> 16 & 0xFFu)), "r"(bytes));
    return r;
}

static inline uint32_t ea_odd(uint32_t bytes)
{
    uint32_t r;
    EA_INSTRUCTION("sxtb16 %0, %1, ror #8", r, ea_halves((int8_t)(bytes >> 8 & 0xFFu), (int8_t)(bytes >> 24)),
                   "r"(bytes));
    return r;
}

/* The same times 256. */
static inline uint32_t ea_even256(uint32_t bytes)
{
    return bytes << 8 & 0xFF00FF00u;
}

static inline uint32_t ea_odd256(uint32_t bytes)
{
    return bytes & 0xFF00FF00u;
}

/* Halves of a minus halves of b. */
static inline uint32_t ea_minus(uint32_t a, uint32_t b)
{
    uint32_t r;
    EA_INSTRUCTION("ssub16 %0, %1, %2", r, ea_halves(ea_low(a) - ea_low(b), ea_top(a) - ea_top(b)), "r"(a), "r"(b));
    return r;
}

/* The low halves of two words, or their top halves, as the halves of one. */
static inline uint32_t ea_lows(uint32_t a, uint32_t b)
{
    uint32_t r;
    EA_INSTRUCTION("pkhbt %0, %1, %2, lsl #16", r, (a & 0xFFFFu) | b << 16, "r"(a), "r"(b));
    return r;
}

static inline uint32_t ea_tops(uint32_t a, uint32_t b)
{
    uint32_t r;
    EA_INSTRUCTION("pkhtb %0, %2, %1, asr #16", r, a >> 16 | (b & 0xFFFF0000u), "r"(a), "r"(b));
    return r;
}

/* `halves` plus bytes 0 and 2, or 1 and 3. */
static inline uint32_t ea_add_even(uint32_t halves, uint32_t bytes)
{
    uint32_t r;
    EA_INSTRUCTION("sxtab16 %0, %1, %2", r,
                   ea_halves(ea_low(halves) + (int8_t)(bytes & 0xFFu), ea_top(halves) + (int8_t)(bytes >> 16 & 0xFFu)),
                   "r"(halves), "r"(bytes));
    return r;
}

static inline uint32_t ea_add_odd(uint32_t halves, uint32_t bytes)
{
    uint32_t r;
    EA_INSTRUCTION("sxtab16 %0, %1, %2, ror #8", r,
                   ea_halves(ea_low(halves) + (int8_t)(bytes >> 8 & 0xFFu), ea_top(halves) + (int8_t)(bytes >> 24)),
                   "r"(halves), "r"(bytes));
    return r;
}

/* sum + a.low * b.low + a.top * b.top */
static inline int32_t ea_dual(uint32_t a, uint32_t b, int32_t sum)
{
    int32_t r;
    EA_INSTRUCTION("smlad %0, %1, %2, %3", r, sum + ea_low(a) * ea_low(b) + ea_top(a) * ea_top(b), "r"(a), "r"(b),
                   "r"(sum));
    return r;
}

/* sum + a.low * b.low, or a.top * b.low */
static inline int32_t ea_low_by_low(uint32_t a, uint32_t b, int32_t sum)
{
    int32_t r;
    EA_INSTRUCTION("smlabb %0, %1, %2, %3", r, sum + ea_low(a) * ea_low(b), "r"(a), "r"(b), "r"(sum));
    return r;
}

static inline int32_t ea_top_by_low(uint32_t a, uint32_t b, int32_t sum)
{
    int32_t r;
    EA_INSTRUCTION("smlatb %0, %1, %2, %3", r, sum + ea_top(a) * ea_low(b), "r"(a), "r"(b), "r"(sum));
    return r;
}

/* sum + (a * h.low >> 16), or of h.top */
static inline int32_t ea_wide_by_low(int32_t a, uint32_t h, int32_t sum)
{
    int32_t r;
    EA_INSTRUCTION("smlawb %0, %1, %2, %3", r, sum + (int32_t)((int64_t)a * ea_low(h) >> 16), "r"(a), "r"(h), "r"(sum));
    return r;
}

static inline int32_t ea_wide_by_top(int32_t a, uint32_t h, int32_t sum)
{
    int32_t r;
    EA_INSTRUCTION("smlawt %0, %1, %2, %3", r, sum + (int32_t)((int64_t)a * ea_top(h) >> 16), "r"(a), "r"(h), "r"(sum));
    return r;
}

/* sum + (a * b >> 32), or rounded half up */
static inline int32_t ea_high_sum(int32_t a, int32_t b, int32_t sum)
{
    int32_t r;
    EA_INSTRUCTION("smmla %0, %1, %2, %3", r, sum + (int32_t)((int64_t)a * b >> 32), "r"(a), "r"(b), "r"(sum));
    return r;
}

static inline int32_t ea_high_sum_rounded(int32_t a, int32_t b, int32_t sum)
{
    int32_t r;
    EA_INSTRUCTION("smmlar %0, %1, %2, %3", r, sum + (int32_t)(((int64_t)a * b + ((int64_t)1 << 31)) >> 32), "r"(a),
                   "r"(b), "r"(sum));
    return r;
}

/* value >> shift, limited to int8, for a shift that is a constant. */
#ifndef EA_DSP_IN_C
#define EA_LIMIT(result, value, shift) __asm__("ssat %0, #8, %1, asr %2" : "=r"(result) : "r"(value), "i"(shift))
#else
#define EA_LIMIT(result, value, shift)                                                                                 \
    ((result) = (value) >> (shift) > INT8_MAX ? INT8_MAX : (value) >> (shift) < INT8_MIN ? INT8_MIN : (value) >> (shift))
#endif

/* The larger byte of each pair. */
static inline uint32_t ea_larger(uint32_t a, uint32_t b)
{
    uint32_t r = 0;
#ifndef EA_DSP_IN_C
    __asm__("ssub8 %0, %1, %2\n\tsel %0, %1, %2" : "=&r"(r) : "r"(a), "r"(b));
#else
    for (int i = 0; i < 32; i += 8) {
        const int8_t x = (int8_t)(a >> i & 0xFFu), y = (int8_t)(b >> i & 0xFFu);
        r |= (uint32_t)(uint8_t)(x > y ? x : y) << i;
    }
#endif
    return r;
}

#endif
#endif
