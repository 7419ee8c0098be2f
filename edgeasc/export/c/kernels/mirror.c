/* SPDX-License-Identifier: 0BSD OR Apache-2.0 */
/* Frames before and after, mirrored at the first and at the last one, which are not repeated. */
#include "ea_kernels.h"

void ea_mirror(const int8_t *input, int32_t rows, int32_t frames, int32_t before, int32_t after, int8_t *output)
{
    for (; rows > 0; rows--, input += frames) {
        for (int32_t t = before; t > 0; t--)
            *output++ = input[t];
        for (int32_t t = 0; t < frames; t++)
            *output++ = input[t];
        for (int32_t t = 1; t <= after; t++)
            *output++ = input[frames - 1 - t];
    }
}
