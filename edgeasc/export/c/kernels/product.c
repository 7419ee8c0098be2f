/* SPDX-License-Identifier: 0BSD OR Apache-2.0 */
/* Product of two tensors. */
#include "ea_kernels.h"

void ea_product(const int8_t *first, ea_strides first_strides, int32_t first_zero_point, const int8_t *second,
                ea_strides second_strides, int32_t second_zero_point, ea_scale scale, int8_t *output, ea_shape out)
{
    for (int c = 0; c < out.c; c++)
        for (int f = 0; f < out.f; f++) {
            const int8_t *a = first + (int32_t)c * first_strides.c + (int32_t)f * first_strides.f;
            const int8_t *b = second + (int32_t)c * second_strides.c + (int32_t)f * second_strides.f;
            for (int t = 0; t < out.t; t++, a += first_strides.t, b += second_strides.t)
                *output++ = ea_finish((*a - first_zero_point) * (*b - second_zero_point), scale.multiplier, scale.shift,
                                      scale.output_zero_point, scale.low, scale.high);
        }
}
