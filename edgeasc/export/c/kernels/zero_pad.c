/* SPDX-License-Identifier: 0BSD OR Apache-2.0 */
/* Zeros before the first frame of every row and behind its last one. */
#include "ea_kernels.h"

void ea_zero_pad(const int8_t *input, int32_t rows, int32_t frames, int32_t before, int32_t after, int8_t zero,
                 int8_t *output)
{
    for (; rows > 0; rows--, input += frames) {
        for (int32_t t = 0; t < before; t++)
            *output++ = zero;
        for (int32_t t = 0; t < frames; t++)
            *output++ = input[t];
        for (int32_t t = 0; t < after; t++)
            *output++ = zero;
    }
}
