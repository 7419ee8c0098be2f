/* SPDX-License-Identifier: 0BSD OR Apache-2.0 */
/* Fixed-point lines over int8 values, `(offset + (a * x >> 8)) >> POINT` limited to int8; POINT is the including file's. */
#ifndef EA_STRIPS_H
#define EA_STRIPS_H

#include "ea_mve.h"

enum { STRIP = 4 };

static inline int8_t ea_one(int32_t scaled)
{
#if EA_DSP
    int32_t limited;
    EA_LIMIT(limited, scaled, POINT);
    return (int8_t)limited;
#else
    return ea_clamp(scaled >> POINT, INT8_MIN);
#endif
}

static inline int32_t ea_part(int32_t weight, int32_t value)
{
#if EA_DSP
    return ea_wide_by_low(weight, (uint32_t)value << 8, 0);
#else
    return (int32_t)(((int64_t)weight * value) >> 8);
#endif
}

#if EA_DSP
static inline void ea_four(uint32_t x, int32_t a, int32_t o0, int32_t o1, int32_t o2, int32_t o3, int8_t *output)
{
    const uint32_t even = ea_even256(x), odd = ea_odd256(x);
    output[0] = ea_one(ea_wide_by_low(a, even, o0));
    output[1] = ea_one(ea_wide_by_low(a, odd, o1));
    output[2] = ea_one(ea_wide_by_top(a, even, o2));
    output[3] = ea_one(ea_wide_by_top(a, odd, o3));
}
#endif

#if EA_MVE
/* Four values times `a >> 8`. */
static inline int32x4_t ea_vector_part(int32x4_t x, int32x4_t a)
{
    return vmulhq_s32(vshlq_n_s32(x, 24), a);
}

/* Four values of ea_one, in the lowest byte of their lanes. */
static inline int32x4_t ea_vector_one(int32x4_t scaled)
{
    const int32x4_t r = vshrq_n_s32(scaled, POINT);
    const int16x8_t half = vqmovnbq_s32(vreinterpretq_s16_s32(r), r);
    return vreinterpretq_s32_s8(vqmovnbq_s16(vreinterpretq_s8_s16(half), half));
}
#endif

/* One row with one offset. */
static inline void ea_line(const int8_t *x, int32_t a, int32_t offset, int8_t *output, int32_t count)
{
#if EA_MVE
    const int32x4_t all = vdupq_n_s32(a);
    for (; count >= 2 * EA_LANES; count -= 2 * EA_LANES, x += 2 * EA_LANES, output += 2 * EA_LANES) {
        const int32x4_t low = ea_vector_part(vldrbq_s32(x), all), high = ea_vector_part(vldrbq_s32(x + EA_LANES), all);
        vstrbq_s32(output, ea_vector_one(vaddq_n_s32(low, offset)));
        vstrbq_s32(output + EA_LANES, ea_vector_one(vaddq_n_s32(high, offset)));
    }
    for (; count > 0; count -= EA_LANES, x += EA_LANES, output += EA_LANES) {
        const mve_pred16_t lanes = vctp32q((uint32_t)count);
        const int32x4_t part = ea_vector_part(vldrbq_z_s32(x, lanes), all);
        vstrbq_p_s32(output, ea_vector_one(vaddq_n_s32(part, offset)), lanes);
    }
    return;
#endif
#if EA_DSP
    for (; count >= 8; count -= 8, x += 8, output += 8) {
        ea_four(ea_load4(x), a, offset, offset, offset, offset, output);
        ea_four(ea_load4(x + 4), a, offset, offset, offset, offset, output + 4);
    }
#endif
    for (; count > 0; count--)
        *output++ = ea_one(offset + ea_part(a, *x++));
}

static inline void ea_columns(const int8_t *x, int32_t stride, int32_t rows, const int columns, int32_t a,
                              const int32_t *offsets, int8_t *output)
{
    for (; rows > 0; rows--, x += stride, output += stride)
        for (int p = 0; p < columns; p++)
            output[p] = ea_one(offsets[p] + ea_part(a, x[p]));
}

/* Up to four columns of rows `stride` apart, each column with an offset of its own. */
static inline void ea_strip(const int8_t *x, int32_t stride, int32_t rows, int columns, int32_t a,
                            const int32_t *offsets, int8_t *output)
{
    if (columns == 1)
        ea_columns(x, stride, rows, 1, a, offsets, output);
    else if (columns == 2)
        ea_columns(x, stride, rows, 2, a, offsets, output);
    else if (columns == 3)
        ea_columns(x, stride, rows, 3, a, offsets, output);
    else
#if EA_MVE
        for (const int32x4_t o = vldrwq_s32(offsets), all = vdupq_n_s32(a); rows > 0;
             rows--, x += stride, output += stride)
            vstrbq_s32(output, ea_vector_one(vaddq_s32(ea_vector_part(vldrbq_s32(x), all), o)));
#elif EA_DSP
        for (const int32_t o0 = offsets[0], o1 = offsets[1], o2 = offsets[2], o3 = offsets[3]; rows > 0;
             rows--, x += stride, output += stride)
            ea_four(ea_load4(x), a, o0, o1, o2, o3, output);
#else
        ea_columns(x, stride, rows, STRIP, a, offsets, output);
#endif
}

#endif
