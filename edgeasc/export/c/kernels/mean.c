/* SPDX-License-Identifier: 0BSD OR Apache-2.0 */
/* Mean over any of the three axes. */
#include "ea_kernels.h"

enum { COLUMNS = 4, MOST_ROWS = 255 };

#if EA_DSP
/* Sums of bytes 0 and 2, and of bytes 1 and 3, of up to 255 words that lie `stride` apart, as halves. */
typedef struct {
    uint32_t even, odd;
} ea_halfs;

static inline ea_halfs ea_down(const int8_t *top, int32_t stride, int rows)
{
    ea_halfs sums = {0, 0};
    for (; rows > 0; rows--, top += stride) {
        const uint32_t word = ea_load4(top);
        sums.even = ea_add_even(sums.even, word);
        sums.odd = ea_add_odd(sums.odd, word);
    }
    return sums;
}

/* Sum of the last `taken` of four columns. */
static int32_t ea_four(const int8_t *top, int32_t stride, int rows, int taken)
{
    int32_t sum = 0;
    for (; rows > 0; rows -= MOST_ROWS, top += MOST_ROWS * stride) {
        const ea_halfs s = ea_down(top, stride, rows < MOST_ROWS ? rows : MOST_ROWS);
        sum += ea_top(s.odd) + (taken > 1 ? ea_top(s.even) : 0);
        sum += (taken > 2 ? ea_low(s.odd) : 0) + (taken > 3 ? ea_low(s.even) : 0);
    }
    return sum;
}
#endif

/* Sum of `rows` rows of `count` values, `stride` apart. */
static int32_t ea_total(const int8_t *values, int32_t stride, int rows, int32_t count)
{
    int32_t sum = 0, i = 0;
#if EA_DSP
    if (rows == 1) { /* a row is rows of four */
        sum = ea_four(values, COLUMNS, (int)(count / COLUMNS), COLUMNS);
        i = count - count % COLUMNS;
    } else if (count >= COLUMNS) {
        for (; i < count; i += COLUMNS) {
            const int taken = count - i < COLUMNS ? (int)(count - i) : COLUMNS;
            sum += ea_four(values + i + taken - COLUMNS, stride, rows, taken);
        }
    }
#endif
    for (; rows > 0 && i < count; rows--, values += stride)
        for (int32_t t = i; t < count; t++)
            sum += values[t];
    return sum;
}

/* Sum down a column. */
static inline int32_t ea_column(const int8_t *values, int32_t stride, int rows)
{
    int32_t sum = 0;
    for (; rows > 0; rows--, values += stride)
        sum += *values;
    return sum;
}

/* Means down the columns of one channel. */
static void ea_columns(const int8_t *plane, int rows, int columns, int32_t zero, ea_scale scale, int8_t *output)
{
    int t = 0;
#if EA_DSP
    for (; rows <= MOST_ROWS && columns >= COLUMNS && t < columns; t += COLUMNS) {
        t = t + COLUMNS > columns ? columns - COLUMNS : t; /* the last four may begin among the ones before */
        const ea_halfs s = ea_down(plane + t, columns, rows);
        const int32_t sums[COLUMNS] = {ea_low(s.even), ea_low(s.odd), ea_top(s.even), ea_top(s.odd)};
        for (int p = 0; p < COLUMNS; p++)
            output[t + p] =
                ea_finish(sums[p] - zero, scale.multiplier, scale.shift, scale.output_zero_point, scale.low);
    }
#endif
    for (; t < columns; t++)
        output[t] = ea_finish(ea_column(plane + t, columns, rows) - zero, scale.multiplier, scale.shift,
                              scale.output_zero_point, scale.low);
}

void ea_mean(const int8_t *input, ea_shape in, int32_t input_zero_point, ea_scale scale, int8_t *output, ea_shape out)
{
    const int over_c = in.c / out.c, over_f = in.f / out.f, over_t = in.t / out.t;
    const int32_t zero = input_zero_point * over_c * over_f * over_t, plane = (int32_t)in.f * in.t;
    if (over_c == 1 && over_t == 1 && out.f == 1) {
        for (int c = 0; c < in.c; c++)
            ea_columns(input + c * plane, in.f, in.t, zero, scale, output + c * in.t);
        return;
    }
    for (int c = 0; c < out.c; c++)
        for (int f = 0; f < out.f; f++)
            for (int t = 0; t < out.t; t++) {
                const int8_t *corner = input + (int32_t)c * over_c * plane + (int32_t)f * over_f * in.t + t * over_t;
                int32_t sum = -zero;
                if (over_t == in.t) /* rows of a channel follow each other */
                    sum += ea_total(corner, plane, over_c, (int32_t)over_f * in.t);
                else
                    for (int i = 0; i < over_f; i++, corner += in.t)
                        sum += ea_total(corner, plane, over_c, over_t);
                *output++ = ea_finish(sum, scale.multiplier, scale.shift, scale.output_zero_point, scale.low);
            }
}
