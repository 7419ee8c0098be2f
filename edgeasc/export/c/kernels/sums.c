/* SPDX-License-Identifier: 0BSD OR Apache-2.0 */
/* A mean over frequency, summed up strip by strip. */
#include "ea_kernels.h"

void ea_sums(const int8_t *input, int32_t plane, ea_shape in, int32_t index, void *sums, int channels, int frames)
{
    int32_t *const all = sums;
    if (index == 0)
        for (int32_t i = 0; i < (int32_t)channels * frames; i++)
            all[i] = 0;
    for (int c = 0; c < in.c; c++) {
        int32_t *const own = channels == 1 ? all : all + (int32_t)c * frames;
        const int8_t *line = input + c * plane;
        for (int f = 0; f < in.f; f++, line += in.t) {
            if (frames == 1) {
                int32_t sum = 0;
                for (int t = 0; t < in.t; t++)
                    sum += line[t];
                own[0] += sum;
            } else {
                for (int t = 0; t < in.t; t++)
                    own[t] += line[t];
            }
        }
    }
}

void ea_mean_of_sums(const void *sums, int32_t zero, ea_scale scale, int8_t *output, int32_t count)
{
    const int32_t *const all = sums;
    for (int32_t i = 0; i < count; i++)
        output[i] = ea_finish(all[i] - zero, scale.multiplier, scale.shift, scale.output_zero_point, scale.low);
}
