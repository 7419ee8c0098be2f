/* SPDX-License-Identifier: 0BSD OR Apache-2.0 */
/* Product of two tensors. */
#include "ea_kernels.h"

static inline void ea_row(const int8_t *a, int a_step, int32_t a_zero, const int8_t *b, int b_step, int32_t b_zero,
                          ea_scale scale, int8_t *output, int32_t count)
{
    for (int32_t i = 0; i < count; i++, a += a_step, b += b_step)
        output[i] = ea_finish((*a - a_zero) * (*b - b_zero), scale.multiplier, scale.shift, scale.output_zero_point,
                              scale.low);
}

void ea_product(const int8_t *first, ea_strides first_strides, int32_t first_zero_point, const int8_t *second,
                ea_strides second_strides, int32_t second_zero_point, ea_scale scale, int8_t *output, ea_shape out)
{
    const ea_shape runs = ea_runs(out, first_strides, second_strides);
    for (int c = 0; c < runs.c; c++)
        for (int f = 0; f < runs.f; f++, output += runs.t) {
            const int8_t *a = first + (int32_t)c * first_strides.c + (int32_t)f * first_strides.f;
            const int8_t *b = second + (int32_t)c * second_strides.c + (int32_t)f * second_strides.f;
            if (first_strides.t == 1 && second_strides.t == 1)
                ea_row(a, 1, first_zero_point, b, 1, second_zero_point, scale, output, runs.t);
            else if (first_strides.t == 1 && second_strides.t == 0)
                ea_row(a, 1, first_zero_point, b, 0, second_zero_point, scale, output, runs.t);
            else
                ea_row(a, first_strides.t, first_zero_point, b, second_strides.t, second_zero_point, scale, output,
                       runs.t);
        }
}
