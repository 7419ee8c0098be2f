/* SPDX-License-Identifier: 0BSD OR Apache-2.0 */
/* Sum or difference of two tensors on different grids. */
#include "ea_kernels.h"

enum { HEADROOM = 20 };

static int32_t ea_on_common_grid(int8_t value, ea_addend scale)
{
    return ea_rescale((value - scale.zero_point) * ((int32_t)1 << HEADROOM), scale.multiplier, scale.shift);
}

void ea_sum(const int8_t *first, ea_strides first_strides, ea_addend first_scale, const int8_t *second,
            ea_strides second_strides, ea_addend second_scale, int second_sign, ea_scale scale, int8_t *output,
            ea_shape out)
{
    for (int c = 0; c < out.c; c++)
        for (int f = 0; f < out.f; f++) {
            const int8_t *a = first + (int32_t)c * first_strides.c + (int32_t)f * first_strides.f;
            const int8_t *b = second + (int32_t)c * second_strides.c + (int32_t)f * second_strides.f;
            for (int t = 0; t < out.t; t++, a += first_strides.t, b += second_strides.t) {
                const int32_t total =
                    ea_on_common_grid(*a, first_scale) + second_sign * ea_on_common_grid(*b, second_scale);
                *output++ = ea_finish(total, scale.multiplier, scale.shift, scale.output_zero_point, scale.low,
                                      scale.high);
            }
        }
}
