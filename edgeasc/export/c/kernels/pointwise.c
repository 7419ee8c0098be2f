/* SPDX-License-Identifier: 0BSD OR Apache-2.0 */
/* Point-wise convolution with all weights stored: two output channels by four pixels at a time. */
#include "ea_kernels.h"

enum { BLOCK = 4 };

static void ea_write(const int32_t *sums, int count, const ea_ending *ending, int8_t *output)
{
    for (int p = 0; p < count; p++)
        output[p] = ea_end(sums[p], ending);
}

static void ea_pair(const int8_t *input, int32_t plane, int c_in, const int8_t *first, const int8_t *second,
                    int32_t *sums)
{
    int32_t a0 = 0, a1 = 0, a2 = 0, a3 = 0, b0 = 0, b1 = 0, b2 = 0, b3 = 0;
    for (int c = 0; c < c_in; c++, input += plane) {
        const int32_t a = first[c], b = second[c];
        const int32_t x0 = input[0], x1 = input[1], x2 = input[2], x3 = input[3];
        a0 += a * x0;
        a1 += a * x1;
        a2 += a * x2;
        a3 += a * x3;
        b0 += b * x0;
        b1 += b * x1;
        b2 += b * x2;
        b3 += b * x3;
    }
    sums[0] = a0;
    sums[1] = a1;
    sums[2] = a2;
    sums[3] = a3;
    sums[4] = b0;
    sums[5] = b1;
    sums[6] = b2;
    sums[7] = b3;
}

static int32_t ea_dot(const int8_t *input, int32_t plane, int c_in, const int8_t *weights)
{
    int32_t sum = 0;
    for (int c = 0; c < c_in; c++, input += plane)
        sum += weights[c] * *input;
    return sum;
}

void ea_pointwise(const int8_t *input, int c_in, const int8_t *weights, const ea_requant *requant, int8_t *output,
                  ea_shape out)
{
    const int32_t plane = (int32_t)out.f * out.t, band = plane / requant->bands;
    for (int s = 0; s < requant->bands; s++) {
        const int32_t start = s * band, end = start + band;
        for (int c = 0; c < out.c; c += 2) {
            const int pair = c + 1 < out.c;
            const int8_t *first = weights + (int32_t)c * c_in, *second = pair ? first + c_in : first;
            const ea_ending endings[2] = {ea_ending_of(requant, s * out.c + c),
                                          ea_ending_of(requant, s * out.c + c + pair)};
            int8_t *line = output + c * plane;
            int32_t sums[2 * BLOCK];
            int32_t p = start;
            for (; p + BLOCK <= end; p += BLOCK) {
                ea_pair(input + p, plane, c_in, first, second, sums);
                ea_write(sums, BLOCK, &endings[0], line + p);
                if (pair)
                    ea_write(sums + BLOCK, BLOCK, &endings[1], line + plane + p);
            }
            for (; p < end; p++) {
                sums[0] = ea_dot(input + p, plane, c_in, first);
                ea_write(sums, 1, &endings[0], line + p);
                sums[0] = ea_dot(input + p, plane, c_in, second);
                if (pair)
                    ea_write(sums, 1, &endings[1], line + plane + p);
            }
        }
    }
}
