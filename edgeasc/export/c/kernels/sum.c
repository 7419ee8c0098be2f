/* SPDX-License-Identifier: 0BSD OR Apache-2.0 */
/* Sum or difference of two tensors on different grids. */
#include "ea_kernels.h"

enum { HEADROOM = 20, HALF = 1 << 30 };

/* On the common grid, whose step is twice the larger scale over 2^20: the addend of the larger scale is only shifted. */
static inline int32_t ea_on_common_grid(int32_t value, ea_addend scale, int plain)
{
    const int32_t centred = value - scale.zero_point;
    if (plain)
        return centred * ((int32_t)1 << (HEADROOM - 1));
    return ea_rescale(centred * ((int32_t)1 << HEADROOM), scale.multiplier, scale.shift);
}

static inline void ea_row(const int8_t *a, int a_step, ea_addend a_scale, int a_plain, const int8_t *b, int b_step,
                          ea_addend b_scale, int b_plain, int sign, ea_scale scale, int8_t *output, int32_t count)
{
    int32_t second = 0;
    if (b_step == 0)
        second = sign * ea_on_common_grid(*b, b_scale, b_plain);
    for (int32_t i = 0; i < count; i++, a += a_step, b += b_step) {
        if (b_step != 0)
            second = sign * ea_on_common_grid(*b, b_scale, b_plain);
        output[i] = ea_finish(ea_on_common_grid(*a, a_scale, a_plain) + second, scale.multiplier, scale.shift,
                              scale.output_zero_point, scale.low);
    }
}

static int ea_is_plain(ea_addend scale)
{
    return scale.multiplier == HALF && scale.shift == 0;
}

static void ea_line(const int8_t *a, int a_step, ea_addend a_scale, const int8_t *b, int b_step, ea_addend b_scale,
                    int sign, ea_scale scale, int8_t *output, int32_t count)
{
    const int a_plain = ea_is_plain(a_scale), b_plain = ea_is_plain(b_scale);
    if (a_step != 1 || (b_step != 0 && b_step != 1) || (b_step == 1 && sign != 1))
        ea_row(a, a_step, a_scale, a_plain, b, b_step, b_scale, b_plain, sign, scale, output, count);
    else if (b_step == 0 && a_plain)
        ea_row(a, 1, a_scale, 1, b, 0, b_scale, b_plain, sign, scale, output, count);
    else if (b_step == 0)
        ea_row(a, 1, a_scale, 0, b, 0, b_scale, b_plain, sign, scale, output, count);
    else if (a_plain && b_plain)
        ea_row(a, 1, a_scale, 1, b, 1, b_scale, 1, 1, scale, output, count);
    else if (a_plain)
        ea_row(a, 1, a_scale, 1, b, 1, b_scale, 0, 1, scale, output, count);
    else if (b_plain)
        ea_row(a, 1, a_scale, 0, b, 1, b_scale, 1, 1, scale, output, count);
    else
        ea_row(a, 1, a_scale, 0, b, 1, b_scale, 0, 1, scale, output, count);
}

void ea_sum(const int8_t *first, ea_strides first_strides, ea_addend first_scale, const int8_t *second,
            ea_strides second_strides, ea_addend second_scale, int second_sign, ea_scale scale, int8_t *output,
            ea_shape out)
{
    const ea_shape runs = ea_runs(out, first_strides, second_strides);
    for (int c = 0; c < runs.c; c++)
        for (int f = 0; f < runs.f; f++, output += runs.t)
            ea_line(first + (int32_t)c * first_strides.c + (int32_t)f * first_strides.f, first_strides.t, first_scale,
                    second + (int32_t)c * second_strides.c + (int32_t)f * second_strides.f, second_strides.t,
                    second_scale, second_sign, scale, output, runs.t);
}
