/* SPDX-License-Identifier: 0BSD OR Apache-2.0 */
/* Mean over any of the three axes. */
#include "ea_kernels.h"

void ea_mean(const int8_t *input, ea_shape in, int32_t input_zero_point, ea_scale scale, int8_t *output, ea_shape out)
{
    const int over_c = in.c / out.c, over_f = in.f / out.f, over_t = in.t / out.t;
    const int32_t count = (int32_t)over_c * over_f * over_t;
    for (int c = 0; c < out.c; c++)
        for (int f = 0; f < out.f; f++)
            for (int t = 0; t < out.t; t++) {
                int32_t sum = 0;
                for (int i = 0; i < over_c; i++)
                    for (int j = 0; j < over_f; j++) {
                        const int8_t *line = input + ((int32_t)(c * over_c + i) * in.f + f * over_f + j) * in.t + t * over_t;
                        for (int k = 0; k < over_t; k++)
                            sum += line[k];
                    }
                *output++ = ea_finish(sum - input_zero_point * count, scale.multiplier, scale.shift,
                                      scale.output_zero_point, scale.low, scale.high);
            }
}
