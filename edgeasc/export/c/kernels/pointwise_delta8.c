/* SPDX-License-Identifier: 0BSD OR Apache-2.0 */
/* Point-wise convolution that stores and multiplies only the weights that are not zero, eight pixels at a time. */
#include "ea_kernels.h"

enum { BLOCK = 8 };

static void ea_block(const int8_t *input, int32_t plane, const uint8_t *stream, int pairs, int32_t *sums)
{
    int32_t s0 = 0, s1 = 0, s2 = 0, s3 = 0, s4 = 0, s5 = 0, s6 = 0, s7 = 0;
    for (; pairs > 0; pairs--, stream += 2) {
        const int32_t weight = (int8_t)stream[1];
        input += stream[0] * plane;
        s0 += weight * input[0];
        s1 += weight * input[1];
        s2 += weight * input[2];
        s3 += weight * input[3];
        s4 += weight * input[4];
        s5 += weight * input[5];
        s6 += weight * input[6];
        s7 += weight * input[7];
    }
    sums[0] = s0;
    sums[1] = s1;
    sums[2] = s2;
    sums[3] = s3;
    sums[4] = s4;
    sums[5] = s5;
    sums[6] = s6;
    sums[7] = s7;
}

static int32_t ea_dot(const int8_t *input, int32_t plane, const uint8_t *stream, int pairs)
{
    int32_t sum = 0;
    for (; pairs > 0; pairs--, stream += 2) {
        input += stream[0] * plane;
        sum += (int8_t)stream[1] * *input;
    }
    return sum;
}

void ea_pointwise_delta8(const int8_t *input, const uint8_t *stream, const uint16_t *pairs, const ea_requant *requant,
                         int8_t *output, ea_shape out)
{
    const int32_t plane = (int32_t)out.f * out.t, band = plane / requant->bands;
    for (int c = 0; c < out.c; c++) {
        const int count = pairs[c];
        int8_t *line = output + c * plane;
        for (int s = 0; s < requant->bands; s++) {
            const ea_ending ending = ea_ending_of(requant, s * out.c + c);
            const int32_t end = (s + 1) * band;
            for (int32_t p = s * band; p < end;) {
                int32_t sums[BLOCK];
                int found = BLOCK;
                if (p + BLOCK <= end) {
                    ea_block(input + p, plane, stream, count, sums);
                } else {
                    sums[0] = ea_dot(input + p, plane, stream, count);
                    found = 1;
                }
                for (int i = 0; i < found; i++)
                    line[p + i] = ea_end(sums[i], &ending);
                p += found;
            }
        }
        stream += 2 * count;
    }
}
