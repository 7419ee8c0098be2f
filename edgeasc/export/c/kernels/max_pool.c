/* SPDX-License-Identifier: 0BSD OR Apache-2.0 */
/* Largest value of every window, without padding. A result is written before the values that a later window reads. */
#include "ea_kernels.h"

static inline int8_t ea_largest(const int8_t *corner, int32_t pitch, ea_window w)
{
    int8_t largest = INT8_MIN;
    for (int i = 0; i < w.kernel_f; i++, corner += pitch)
        for (int j = 0; j < w.kernel_t; j++)
            if (corner[j] > largest)
                largest = corner[j];
    return largest;
}

void ea_max_pool(const int8_t *input, ea_shape in, ea_window window, int8_t *output, ea_shape out)
{
#if EA_DSP
    const int halved = window.kernel_f == 2 && window.kernel_t == 2 && window.stride_t == 2;
#endif
    for (int c = 0; c < out.c; c++)
        for (int f = 0; f < out.f; f++) {
            const int8_t *corner = input + ((int32_t)c * in.f + f * window.stride_f) * in.t;
            int t = 0;
#if EA_DSP
            for (; halved && t + 2 <= out.t; t += 2, corner += 4, output += 2) {
                const uint32_t rows = ea_larger(ea_load4(corner), ea_load4(corner + in.t));
                const uint32_t pairs = ea_larger(rows, rows >> 8);
                output[0] = (int8_t)(pairs & 0xFFu);
                output[1] = (int8_t)(pairs >> 16 & 0xFFu);
            }
#endif
            for (; t < out.t; t++, corner += window.stride_t)
                *output++ = ea_largest(corner, in.t, window);
        }
}
