/* SPDX-License-Identifier: 0BSD OR Apache-2.0 */
/* Convolution with any kernel, one group: one output row of one channel at a time, eight values of it at once. */
#include "ea_kernels.h"

enum { BLOCK = 8 };

/* Rows of the kernel that lie inside the input, for one output row. */
typedef struct {
    int first;
    int end;
    int row; /* of the input, where the kernel starts; may be negative */
} ea_rows;

static ea_rows ea_valid_rows(ea_window w, int frequencies, int row)
{
    ea_rows rows = {0, w.kernel_f, row};
    while (rows.first < rows.end && row + rows.first * w.dilation_f < 0)
        rows.first++;
    while (rows.end > rows.first && row + (rows.end - 1) * w.dilation_f >= frequencies)
        rows.end--;
    return rows;
}

/* Accumulator of one output value near the left or right edge, its zero point taken off. */
static int32_t ea_edge(const int8_t *input, ea_shape in, int32_t zero, const int8_t *weights, ea_window w, ea_rows rows,
                       int column)
{
    int32_t sum = 0;
    for (int c = 0; c < in.c; c++)
        for (int i = rows.first; i < rows.end; i++) {
            const int8_t *line = input + ((int32_t)c * in.f + rows.row + i * w.dilation_f) * in.t;
            const int8_t *taps = weights + (c * w.kernel_f + i) * w.kernel_t;
            for (int j = 0; j < w.kernel_t; j++) {
                const int t = column + j * w.dilation_t;
                if (t >= 0 && t < in.t)
                    sum += taps[j] * (line[t] - zero);
            }
        }
    return sum;
}

/* Sum of the weights that meet values, times the zero point. */
static int32_t ea_offset(ea_shape in, int32_t zero, const int8_t *weights, ea_window w, ea_rows rows)
{
    int32_t sum = 0;
    for (int c = 0; c < in.c; c++)
        for (int i = rows.first; i < rows.end; i++)
            for (int j = 0; j < w.kernel_t; j++)
                sum += weights[(c * w.kernel_f + i) * w.kernel_t + j];
    return sum * zero;
}

/* Accumulators of BLOCK output values next to each other whose columns all lie inside, zero point left on. */
static inline void ea_block(const int8_t *input, ea_shape in, const int8_t *weights, ea_window w, ea_rows rows,
                            int column, int stride, int32_t *sums)
{
    int32_t s0 = 0, s1 = 0, s2 = 0, s3 = 0, s4 = 0, s5 = 0, s6 = 0, s7 = 0;
    for (int c = 0; c < in.c; c++)
        for (int i = rows.first; i < rows.end; i++) {
            const int8_t *x = input + ((int32_t)c * in.f + rows.row + i * w.dilation_f) * in.t + column;
            const int8_t *tap = weights + (c * w.kernel_f + i) * w.kernel_t;
            for (int j = 0; j < w.kernel_t; j++, x += w.dilation_t) {
                const int32_t weight = tap[j];
                if (weight == 0)
                    continue;
                s0 += weight * x[0];
                s1 += weight * x[stride];
                s2 += weight * x[2 * stride];
                s3 += weight * x[3 * stride];
                s4 += weight * x[4 * stride];
                s5 += weight * x[5 * stride];
                s6 += weight * x[6 * stride];
                s7 += weight * x[7 * stride];
            }
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

void ea_conv(const int8_t *input, ea_shape in, int32_t input_zero_point, const int8_t *weights, ea_window window,
             const ea_requant *requant, int8_t *output, ea_shape out)
{
    const ea_span inner = ea_inner(window, in.t, out.t);
    const int band_rows = out.f / requant->bands;
    const int32_t size = (int32_t)in.c * window.kernel_f * window.kernel_t;
    for (int c = 0; c < out.c; c++) {
        const int8_t *kernel = weights + c * size;
        for (int f = 0; f < out.f; f++) {
            const ea_ending ending = ea_ending_of(requant, f / band_rows * out.c + c);
            const ea_rows rows = ea_valid_rows(window, in.f, f * window.stride_f - window.pad_f);
            const int32_t offset = ea_offset(in, input_zero_point, kernel, window, rows);
            int8_t *line = output + ((int32_t)c * out.f + f) * out.t;
            for (int t = 0; t < out.t;) {
                int32_t sums[BLOCK];
                int count = BLOCK;
                int32_t off = offset;
                if (t >= inner.first && t < inner.end && inner.end - inner.first >= BLOCK) {
                    if (t + BLOCK > inner.end)
                        t = inner.end - BLOCK; /* the last block computes some values again */
                    const int column = t * window.stride_t - window.pad_t;
                    if (window.stride_t == 1)
                        ea_block(input, in, kernel, window, rows, column, 1, sums);
                    else if (window.stride_t == 2)
                        ea_block(input, in, kernel, window, rows, column, 2, sums);
                    else
                        ea_block(input, in, kernel, window, rows, column, window.stride_t, sums);
                } else {
                    sums[0] = ea_edge(input, in, input_zero_point, kernel, window, rows,
                                      t * window.stride_t - window.pad_t);
                    count = 1;
                    off = 0;
                }
                for (int p = 0; p < count; p++)
                    line[t + p] = ea_end(sums[p] - off, &ending);
                t += count;
            }
        }
    }
}
