/* SPDX-License-Identifier: 0BSD OR Apache-2.0 */
/* Largest value of every window, without padding. */
#include "ea_kernels.h"

void ea_max_pool(const int8_t *input, ea_shape in, ea_window window, int8_t *output, ea_shape out)
{
    for (int c = 0; c < out.c; c++)
        for (int f = 0; f < out.f; f++) {
            const int8_t *corner = input + ((int32_t)c * in.f + f * window.stride_f) * in.t;
            for (int t = 0; t < out.t; t++, corner += window.stride_t) {
                int8_t largest = INT8_MIN;
                for (int i = 0; i < window.kernel_f; i++)
                    for (int j = 0; j < window.kernel_t; j++)
                        if (corner[i * in.t + j] > largest)
                            largest = corner[i * in.t + j];
                *output++ = largest;
            }
        }
}
