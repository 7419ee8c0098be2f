/* SPDX-License-Identifier: 0BSD OR Apache-2.0 */
/* Sum or difference of two tensors on different grids, for scales that have no fixed-point line: see blend.c. */
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

static int ea_is_plain(ea_addend scale)
{
    return scale.multiplier == HALF && scale.shift == 0;
}

void ea_sum(const int8_t *first, ea_strides first_strides, ea_addend first_scale, const int8_t *second,
            ea_strides second_strides, ea_addend second_scale, int second_sign, ea_scale scale, int8_t *output,
            ea_shape out)
{
    const ea_shape runs = ea_runs(out, first_strides, second_strides);
    const int a_plain = ea_is_plain(first_scale), b_plain = ea_is_plain(second_scale);
    const int a_step = first_strides.t, b_step = second_strides.t;
    for (int c = 0; c < runs.c; c++)
        for (int f = 0; f < runs.f; f++) {
            const int8_t *a = first + (int32_t)c * first_strides.c + (int32_t)f * first_strides.f;
            const int8_t *b = second + (int32_t)c * second_strides.c + (int32_t)f * second_strides.f;
            for (int32_t i = 0; i < runs.t; i++, a += a_step, b += b_step)
                *output++ = ea_finish(ea_on_common_grid(*a, first_scale, a_plain) +
                                          second_sign * ea_on_common_grid(*b, second_scale, b_plain),
                                      scale.multiplier, scale.shift, scale.output_zero_point, scale.low);
        }
}
