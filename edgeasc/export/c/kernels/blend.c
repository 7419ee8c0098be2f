/* SPDX-License-Identifier: 0BSD OR Apache-2.0 */
/* Weighted sum of two tensors: `(offset + (a * x >> 8) + (b * y >> 8)) >> 21`, limited to [low, 127].
 *
 * The generator has found numbers that make this the integer of the exact, slower arithmetic for all 65,536 pairs. */
#include <stdint.h>

enum { POINT = 21 };

#include "ea_strips.h"

#if EA_DSP
static inline void ea_four_pairs(uint32_t x, uint32_t y, int32_t a, int32_t b, int32_t offset, int8_t *output)
{
    const uint32_t x0 = ea_even256(x), x1 = ea_odd256(x), y0 = ea_even256(y), y1 = ea_odd256(y);
    output[0] = ea_one(ea_wide_by_low(b, y0, ea_wide_by_low(a, x0, offset)));
    output[1] = ea_one(ea_wide_by_low(b, y1, ea_wide_by_low(a, x1, offset)));
    output[2] = ea_one(ea_wide_by_top(b, y0, ea_wide_by_top(a, x0, offset)));
    output[3] = ea_one(ea_wide_by_top(b, y1, ea_wide_by_top(a, x1, offset)));
}
#endif

/* Both operands step through the row. */
static void ea_both(const int8_t *x, const int8_t *y, const ea_weighting *k, int8_t *output, int32_t count)
{
    const int32_t a = k->a, b = k->b, offset = k->offset;
#if EA_MVE
    const int32x4_t all_a = vdupq_n_s32(a), all_b = vdupq_n_s32(b);
    for (; count >= EA_LANES; count -= EA_LANES, x += EA_LANES, y += EA_LANES, output += EA_LANES) {
        const int32x4_t part = ea_vector_part(vldrbq_s32(x), all_a), other = ea_vector_part(vldrbq_s32(y), all_b);
        vstrbq_s32(output, ea_vector_one(vaddq_n_s32(vaddq_s32(part, other), offset)));
    }
#endif
#if EA_DSP
    for (; count >= 8; count -= 8, x += 8, y += 8, output += 8) {
        ea_four_pairs(ea_load4(x), ea_load4(y), a, b, offset, output);
        ea_four_pairs(ea_load4(x + 4), ea_load4(y + 4), a, b, offset, output + 4);
    }
#endif
    for (; count > 0; count--)
        *output++ = ea_one(offset + ea_part(a, *x++) + ea_part(b, *y++));
}

/* Rows of x, `stride` apart, that all meet the same row of y. */
static void ea_repeated(const int8_t *x, int32_t stride, int32_t rows, const int8_t *y, int y_step,
                        const ea_weighting *k, int8_t *output, int count)
{
    for (int t = 0; t < count; t += STRIP, x += STRIP, output += STRIP) {
        const int columns = count - t < STRIP ? count - t : STRIP;
        int32_t offsets[STRIP] = {0};
        for (int p = 0; p < columns; p++, y += y_step)
            offsets[p] = k->offset + ea_part(k->b, *y);
        ea_strip(x, stride, rows, columns, k->a, offsets, output);
    }
}

EA_RARE static void ea_any(const int8_t *x, int x_step, const int8_t *y, int y_step, const ea_weighting *k, int8_t *output,
                   int32_t count)
{
    for (; count > 0; count--, x += x_step, y += y_step)
        *output++ = ea_one(k->offset + ea_part(k->a, *x) + ea_part(k->b, *y));
}

EA_RARE static void ea_raise(int8_t *values, int32_t count, int32_t low)
{
    for (; count > 0; count--, values++)
        *values = *values < low ? (int8_t)low : *values;
}

void ea_blend(const int8_t *first, ea_strides s, const int8_t *second, ea_strides r, ea_weighting k, int8_t *output,
              ea_shape out)
{
    const ea_shape runs = ea_runs(out, s, r);
    const int32_t plane = (int32_t)out.f * out.t;
    const int whole = s.t == 1 && s.f == out.t && s.c == plane;
    if (whole && r.f == 0 && (r.c != 0 || r.t != 0))
        for (int c = 0; c < out.c; c++)
            ea_repeated(first + c * plane, out.t, out.f, second + (int32_t)c * r.c, r.t, &k, output + c * plane, out.t);
    else if (whole && r.c == 0 && out.c >= STRIP)
        for (int f = 0; f < out.f; f++)
            ea_repeated(first + (int32_t)f * out.t, plane, out.c, second + (int32_t)f * r.f, r.t, &k,
                        output + (int32_t)f * out.t, out.t);
    else
        for (int c = 0; c < runs.c; c++)
            for (int f = 0; f < runs.f; f++) {
                const int8_t *x = first + (int32_t)c * s.c + (int32_t)f * s.f;
                const int8_t *y = second + (int32_t)c * r.c + (int32_t)f * r.f;
                int8_t *line = output + ((int32_t)c * runs.f + f) * runs.t;
                if (s.t == 1 && r.t == 0)
                    ea_line(x, k.a, k.offset + ea_part(k.b, *y), line, runs.t);
                else if (s.t == 1 && r.t == 1)
                    ea_both(x, y, &k, line, runs.t);
                else
                    ea_any(x, s.t, y, r.t, &k, line, runs.t);
            }
    if (k.low > INT8_MIN)
        ea_raise(output, out.c * plane, k.low);
}
