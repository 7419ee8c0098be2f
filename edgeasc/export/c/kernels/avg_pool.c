/* SPDX-License-Identifier: 0BSD OR Apache-2.0 */
/* Mean of every window, without padding, halves away from zero, at least `low`. */
#include "ea_kernels.h"

void ea_avg_pool(const int8_t *input, ea_shape in, ea_window window, int32_t low, int8_t *output, ea_shape out)
{
    const int32_t count = window.kernel_f * window.kernel_t, half = count / 2;
    for (int c = 0; c < out.c; c++)
        for (int f = 0; f < out.f; f++) {
            const int8_t *corner = input + ((int32_t)c * in.f + f * window.stride_f) * in.t;
            for (int t = 0; t < out.t; t++, corner += window.stride_t) {
                int32_t sum = 0;
                for (int i = 0; i < window.kernel_f; i++)
                    for (int j = 0; j < window.kernel_t; j++)
                        sum += corner[i * in.t + j];
                const int32_t mean = (sum < 0 ? sum - half : sum + half) / count; /* towards zero */
                *output++ = (int8_t)(mean < low ? low : mean);
            }
        }
}
