/* SPDX-License-Identifier: 0BSD OR Apache-2.0 */
/* Depth-wise convolution, one output row at a time. */
#include "ea_kernels.h"

enum { MOST_TAPS = 32 };

/* Taps of one output row that lie inside the input's frequencies: where they read, and what they weigh. */
typedef struct {
    const int8_t *line[MOST_TAPS];
    int32_t weight[MOST_TAPS];
    int column[MOST_TAPS];
    int count;
    int32_t sum;
} ea_taps;

static void ea_gather(ea_taps *taps, const int8_t *plane, ea_shape in, const int8_t *weights, ea_window w, int row,
                      int32_t sign)
{
    taps->count = 0;
    taps->sum = 0;
    for (int i = 0; i < w.kernel_f; i++) {
        const int f = row + i * w.dilation_f;
        if (f < 0 || f >= in.f)
            continue;
        for (int j = 0; j < w.kernel_t; j++) {
            const int32_t weight = weights[i * w.kernel_t + j] * sign;
            if (weight == 0)
                continue;
            taps->line[taps->count] = plane + (int32_t)f * in.t;
            taps->column[taps->count] = j * w.dilation_t - w.pad_t;
            taps->weight[taps->count++] = weight;
            taps->sum += weight;
        }
    }
}

void ea_depthwise(const int8_t *input, ea_shape in, int32_t input_zero_point, const int8_t *weights, ea_window window,
                  const ea_requant *requant, int8_t *output, ea_shape out)
{
    const int band_rows = out.f / requant->bands;
    const int size = window.kernel_f * window.kernel_t;
    const int32_t zero_point = requant->output_zero_point, low = requant->low, high = requant->high;
    for (int c = 0; c < out.c; c++) {
        const int8_t *plane = input + (int32_t)c * in.f * in.t;
        for (int f = 0; f < out.f; f++) {
            const int entry = f / band_rows * out.c + c;
            const int32_t multiplier = requant->multiplier[entry];
            const int shift = requant->shift[entry];
            int8_t *line = output + ((int32_t)c * out.f + f) * out.t;
            ea_taps taps;
            ea_gather(&taps, plane, in, weights + c * size, window, f * window.stride_f - window.pad_f,
                      requant->sign ? requant->sign[entry] : 1);
            const int32_t inside = requant->bias[entry] - taps.sum * input_zero_point;
            for (int t = 0; t < out.t; t++) {
                const int column = t * window.stride_t;
                int32_t sum = inside;
                for (int k = 0; k < taps.count; k++) {
                    const int at = column + taps.column[k];
                    sum += taps.weight[k] * (at >= 0 && at < in.t ? taps.line[k][at] : input_zero_point);
                }
                line[t] = ea_finish(sum, multiplier, shift, zero_point, low, high);
            }
        }
    }
}
