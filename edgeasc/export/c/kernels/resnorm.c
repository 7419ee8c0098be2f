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

/* What one frequency needs to turn a value into an output. */
typedef struct {
    int32_t count;
    int32_t total;
    int64_t gain;
    int64_t half;
    int64_t up;
    int down;
} ea_row_norm;

static int8_t ea_normed(int32_t value, const ea_row_norm *row, const ea_resnorm_constants *k)
{
    int64_t steps = ((int64_t)(row->count * value - row->total) * row->gain * row->up + row->half) >> row->down;
    steps += (value - k->input_zero_point) * k->residual;
    steps = ((steps + ((int64_t)1 << (FRACTION - 1)) + (steps >> 63)) >> FRACTION) + k->output_zero_point;
    return (int8_t)(steps < INT8_MIN ? INT8_MIN : steps > INT8_MAX ? INT8_MAX : steps);
}

static ea_row_norm ea_row_norm_of(int32_t count, int32_t total, int32_t squares, const ea_resnorm_constants *k)
{
    const int64_t spread = (int64_t)count * squares - (int64_t)total * total;
    const int64_t wide = (k->scaling >= 0 ? spread * ((int64_t)1 << k->scaling) : spread >> -k->scaling) + k->epsilon;
    int exponent;
    const int64_t gain = (ea_inverse_sqrt(wide, &exponent) * k->multiplier) >> 31;
    int right = exponent + 25 - k->shift - k->scaling / 2;
    right = right < -6 ? -6 : right > 62 ? 62 : right;
    const int64_t half = right > 0 ? (int64_t)1 << (right - 1) : 0;
    return (ea_row_norm){count, total, gain, half, right < 0 ? (int64_t)1 << -right : 1, right > 0 ? right : 0};
}

void ea_resnorm(const int8_t *input, const ea_resnorm_constants *k, int8_t *output, ea_shape shape)
{
    const int32_t count = (int32_t)shape.c * shape.t;
    const int32_t plane = (int32_t)shape.f * shape.t;
    int8_t table[256]; /* outputs of all values that a frequency has: a long row has most of them more than once */
    for (int f = 0; f < shape.f; f++) {
        const int8_t *first = input + (int32_t)f * shape.t;
        int8_t *result = output + (int32_t)f * shape.t;
        int32_t total = 0, squares = 0, low = INT8_MAX, high = INT8_MIN;
        for (int c = 0; c < shape.c; c++) {
            const int8_t *line = first + c * plane;
            for (int t = 0; t < shape.t; t++) {
                const int32_t value = line[t];
                total += value;
                squares += value * value;
                low = value < low ? value : low;
                high = value > high ? value : high;
            }
        }
        const ea_row_norm row = ea_row_norm_of(count, total, squares, k);
        const int tabled = high - low < count;
        for (int32_t value = low; tabled && value <= high; value++)
            table[value + 128] = ea_normed(value, &row, k);
        for (int c = 0; c < shape.c; c++)
            for (int t = 0; t < shape.t; t++) {
                const int32_t value = first[c * plane + t];
                result[c * plane + t] = tabled ? table[value + 128] : ea_normed(value, &row, k);
            }
    }
}
