/* SPDX-License-Identifier: 0BSD OR Apache-2.0 */
/* Convolution with any kernel, one group. */
#include "ea_kernels.h"

enum { BLOCK = 8 };

typedef struct {
    int first; /* output columns whose taps all lie inside */
    int end;
} ea_span;

static int ea_ceil_div(int value, int divisor)
{
    return value <= 0 ? 0 : (value + divisor - 1) / divisor;
}

static ea_span ea_inner(ea_window w, int frames, int columns)
{
    ea_span span;
    const int last = frames - 1 + w.pad_t - (w.kernel_t - 1) * w.dilation_t; /* largest start of a whole window */
    span.first = ea_ceil_div(w.pad_t, w.stride_t);
    span.end = last < 0 ? 0 : last / w.stride_t + 1;
    if (span.end > columns)
        span.end = columns;
    if (span.first > span.end)
        span.first = span.end;
    return span;
}

/* Accumulator of one output value near the left or right edge. */
static int32_t ea_edge(const int8_t *input, ea_shape in, int32_t zero, const int8_t *weights, ea_window w, int row,
                       int column)
{
    int32_t sum = 0;
    for (int c = 0; c < in.c; c++)
        for (int i = 0; i < w.kernel_f; i++) {
            const int f = row + i * w.dilation_f;
            if (f < 0 || f >= in.f)
                continue;
            const int8_t *line = input + ((int32_t)c * in.f + f) * in.t;
            const int8_t *taps = weights + (c * w.kernel_f + i) * w.kernel_t;
            for (int j = 0; j < w.kernel_t; j++) {
                const int t = column + j * w.dilation_t;
                if (t >= 0 && t < in.t)
                    sum += taps[j] * (line[t] - zero);
            }
        }
    return sum;
}

/* Accumulators of BLOCK output values next to each other, all of whose columns lie inside. */
static void ea_block(const int8_t *input, ea_shape in, int32_t zero, const int8_t *weights, ea_window w, int row,
                     int column, int32_t *sums)
{
    for (int p = 0; p < BLOCK; p++)
        sums[p] = 0;
    for (int c = 0; c < in.c; c++)
        for (int i = 0; i < w.kernel_f; i++) {
            const int f = row + i * w.dilation_f;
            if (f < 0 || f >= in.f)
                continue;
            const int8_t *line = input + ((int32_t)c * in.f + f) * in.t + column;
            const int8_t *taps = weights + (c * w.kernel_f + i) * w.kernel_t;
            for (int j = 0; j < w.kernel_t; j++) {
                const int32_t tap = taps[j];
                const int8_t *value = line + j * w.dilation_t;
                if (tap == 0)
                    continue;
                for (int p = 0; p < BLOCK; p++)
                    sums[p] += tap * (value[p * w.stride_t] - zero);
            }
        }
}

void ea_conv(const int8_t *input, ea_shape in, int32_t input_zero_point, const int8_t *weights, ea_window window,
             const ea_requant *requant, int8_t *output, ea_shape out)
{
    const ea_span inner = ea_inner(window, in.t, out.t);
    const int band_rows = out.f / requant->bands;
    const int32_t size = (int32_t)in.c * window.kernel_f * window.kernel_t;
    for (int c = 0; c < out.c; c++) {
        const int8_t *kernel = weights + c * size;
        for (int f = 0; f < out.f; f++) {
            const int entry = f / band_rows * out.c + c;
            const int32_t bias = requant->bias[entry], multiplier = requant->multiplier[entry];
            const int shift = requant->shift[entry];
            const int32_t sign = requant->sign ? requant->sign[entry] : 1;
            const int row = f * window.stride_f - window.pad_f;
            int8_t *line = output + ((int32_t)c * out.f + f) * out.t;
            for (int t = 0; t < out.t;) {
                const int column = t * window.stride_t - window.pad_t;
                int32_t sums[BLOCK];
                int count = BLOCK;
                if (t >= inner.first && t + BLOCK <= inner.end) {
                    ea_block(input, in, input_zero_point, kernel, window, row, column, sums);
                } else {
                    sums[0] = ea_edge(input, in, input_zero_point, kernel, window, row, column);
                    count = 1;
                }
                for (int p = 0; p < count; p++)
                    line[t + p] = ea_finish(sums[p] * sign + bias, multiplier, shift, requant->output_zero_point,
                                            requant->low, requant->high);
                t += count;
            }
        }
    }
}
