/* SPDX-License-Identifier: 0BSD OR Apache-2.0 */
/* Product of two tensors. */
#include "ea_kernels.h"

enum { STRIP = 4 };

/* Rows of `count` values, `stride` apart, each value times `factor`, which has its zero point taken off. */
typedef struct {
    int32_t stride;
    int rows;
    int count;
} ea_rows;

EA_RARE static void ea_plain_rows(const int8_t *x, int32_t zero, int32_t factor, const ea_ending *e, int8_t *output, ea_rows r)
{
    for (; r.rows > 0; r.rows--, x += r.stride, output += r.stride)
        for (int i = 0; i < r.count; i++)
            output[i] = ea_end((x[i] - zero) * factor, e);
}

EA_APART static void ea_by_one(const int8_t *x, int32_t zero, int32_t factor, const ea_ending *e, int8_t *output, ea_rows r)
{
#if EA_DSP
    ea_quick q;
    if (ea_quick_of(e, &q)) {
        const int32_t start = -2 * zero * factor;
        const uint32_t twice = (uint32_t)(2 * factor);
        for (; r.count >= STRIP; r.count -= STRIP, x += STRIP, output += STRIP) {
            const int8_t *in = x;
            int8_t *out = output;
            for (int i = r.rows; i > 0; i--, in += r.stride, out += r.stride) {
                const uint32_t word = ea_load4(in), even = ea_even(word), odd = ea_odd(word);
                out[0] = ea_quick_end(ea_low_by_low(even, twice, start), q);
                out[1] = ea_quick_end(ea_low_by_low(odd, twice, start), q);
                out[2] = ea_quick_end(ea_top_by_low(even, twice, start), q);
                out[3] = ea_quick_end(ea_top_by_low(odd, twice, start), q);
            }
        }
        for (; r.count > 0; r.count--, x++, output++) {
            const int8_t *in = x;
            int8_t *out = output;
            for (int i = r.rows; i > 0; i--, in += r.stride, out += r.stride)
                *out = ea_quick_end(ea_low_by_low((uint32_t)*in, twice, start), q);
        }
        return;
    }
#endif
    ea_plain_rows(x, zero, factor, e, output, r);
}

/* Any two rows. */
static void ea_row(const int8_t *a, int a_step, int32_t a_zero, const int8_t *b, int b_step, int32_t b_zero,
                   const ea_ending *e, int8_t *output, int32_t count)
{
#if EA_DSP
    ea_quick q;
    if (ea_quick_of(e, &q)) {
        for (; count > 0; count--, a += a_step, b += b_step)
            *output++ = ea_quick_end(2 * (*a - a_zero) * (*b - b_zero), q);
        return;
    }
#endif
    for (; count > 0; count--, a += a_step, b += b_step)
        *output++ = ea_end((*a - a_zero) * (*b - b_zero), e);
}

void ea_product(const int8_t *first, ea_strides s, int32_t first_zero_point, const int8_t *second, ea_strides r,
                int32_t second_zero_point, ea_scale scale, int8_t *output, ea_shape out)
{
    const ea_ending ending = {0, scale.multiplier, scale.shift, scale.output_zero_point, scale.low};
    const int32_t plane = (int32_t)out.f * out.t;
    if (s.t == 1 && s.f == out.t && s.c == plane && r.t == 0) {
        /* All channels of a frequency share a factor, or else one row has it. */
        const int rows = r.c == 0 ? out.c : 1, channels = r.c == 0 ? 1 : out.c;
        for (int c = 0; c < channels; c++)
            for (int f = 0; f < out.f; f++) {
                const int32_t start = c * plane + (int32_t)f * out.t;
                ea_by_one(first + start, first_zero_point, second[(int32_t)c * r.c + (int32_t)f * r.f] - second_zero_point,
                          &ending, output + start, (ea_rows){plane, rows, out.t});
            }
        return;
    }
    const ea_shape runs = ea_runs(out, s, r);
    for (int c = 0; c < runs.c; c++)
        for (int f = 0; f < runs.f; f++, output += runs.t)
            ea_row(first + (int32_t)c * s.c + (int32_t)f * s.f, s.t, first_zero_point,
                   second + (int32_t)c * r.c + (int32_t)f * r.f, r.t, second_zero_point, &ending, output, runs.t);
}
