/* SPDX-License-Identifier: 0BSD OR Apache-2.0 */
/* Residual normalisation `lam * x + (x - mean) / sqrt(var + eps)` in integers, statistics over channels and time for
 * every frequency. */
#include "ea_kernels.h"

enum { FRACTION = 20 };

/* 1 / sqrt(wide) as `*gain` in [2^30, 2^31] with an exponent: wide ~ m * 4^e, gain ~ 2^30 / sqrt(m / 2^30). */
static int64_t ea_inverse_sqrt(int64_t wide, int *exponent)
{
    int e = 0;
    while (wide >= (int64_t)1 << 30) {
        wide >>= 2;
        e++;
    }
    while (wide < (int64_t)1 << 28) {
        wide <<= 2;
        e--;
    }
    *exponent = e;
    /* A line through 1/sqrt on [1/4, 1], then three Newton steps. */
    int64_t y = INT64_C(2290047080) - ((INT64_C(1308598331) * wide) >> 30);
    for (int step = 0; step < 3; step++)
        y = (y * (((int64_t)3 << 30) - ((((y * y) >> 30) * wide) >> 30))) >> 31;
    return y;
}

void ea_resnorm(const int8_t *input, const ea_resnorm_constants *k, int8_t *output, ea_shape shape)
{
    const int32_t count = (int32_t)shape.c * shape.t;
    const int32_t plane = (int32_t)shape.f * shape.t;
    for (int f = 0; f < shape.f; f++) {
        int32_t total = 0, squares = 0;
        for (int c = 0; c < shape.c; c++) {
            const int8_t *line = input + c * plane + (int32_t)f * shape.t;
            for (int t = 0; t < shape.t; t++) {
                total += line[t];
                squares += line[t] * line[t];
            }
        }
        const int64_t spread = (int64_t)count * squares - (int64_t)total * total;
        const int64_t wide = (k->scaling >= 0 ? spread * ((int64_t)1 << k->scaling) : spread >> -k->scaling) + k->epsilon;
        int exponent;
        const int64_t gain = (ea_inverse_sqrt(wide, &exponent) * k->multiplier) >> 31;
        int right = exponent + 25 - k->shift - k->scaling / 2;
        right = right < -6 ? -6 : right > 62 ? 62 : right;
        const int64_t half = right > 0 ? (int64_t)1 << (right - 1) : 0;
        const int64_t up = right < 0 ? (int64_t)1 << -right : 1;
        const int down = right > 0 ? right : 0;
        for (int c = 0; c < shape.c; c++) {
            const int8_t *line = input + c * plane + (int32_t)f * shape.t;
            int8_t *result = output + c * plane + (int32_t)f * shape.t;
            for (int t = 0; t < shape.t; t++) {
                const int32_t value = line[t];
                int64_t steps = ((int64_t)(count * value - total) * gain * up + half) >> down;
                steps += (value - k->input_zero_point) * k->residual;
                steps = ((steps + ((int64_t)1 << (FRACTION - 1)) + (steps >> 63)) >> FRACTION) + k->output_zero_point;
                result[t] = (int8_t)(steps < INT8_MIN ? INT8_MIN : steps > INT8_MAX ? INT8_MAX : steps);
            }
        }
    }
}
