/* SPDX-License-Identifier: 0BSD OR Apache-2.0 */
/* Mean over any of the three axes. */
#include "ea_kernels.h"

/* Sum of `count` values, each `step` after the last. */
static inline int32_t ea_total(const int8_t *values, int step, int count)
{
    int32_t sum = 0;
    for (; count > 0; count--, values += step)
        sum += *values;
    return sum;
}

void ea_mean(const int8_t *input, ea_shape in, int32_t input_zero_point, ea_scale scale, int8_t *output, ea_shape out)
{
    const int over_c = in.c / out.c, over_f = in.f / out.f, over_t = in.t / out.t;
    const int32_t zero = input_zero_point * over_c * over_f * over_t;
    for (int c = 0; c < out.c; c++)
        for (int f = 0; f < out.f; f++)
            for (int t = 0; t < out.t; t++) {
                int32_t sum = -zero;
                for (int i = 0; i < over_c; i++) {
                    const int8_t *corner = input + ((int32_t)(c * over_c + i) * in.f + f * over_f) * in.t + t * over_t;
                    if (over_t == 1)
                        sum += ea_total(corner, in.t, over_f);
                    else if (over_f == 1)
                        sum += ea_total(corner, 1, over_t);
                    else /* both axes: neither is kept, so that lines follow each other */
                        sum += ea_total(corner, 1, over_f * over_t);
                }
                *output++ = ea_finish(sum, scale.multiplier, scale.shift, scale.output_zero_point, scale.low);
            }
}
