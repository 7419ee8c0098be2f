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

static void ea_gather(ea_taps *taps, const int8_t *plane, ea_shape in, const int8_t *weights, ea_window w, int row)
{
    taps->count = 0;
    taps->sum = 0;
    for (int i = 0; i < w.kernel_f; i++) {
        const int f = row + i * w.dilation_f;
        if (f < 0 || f >= in.f)
            continue;
        for (int j = 0; j < w.kernel_t; j++) {
            const int32_t weight = weights[i * w.kernel_t + j];
            if (weight == 0)
                continue;
            taps->line[taps->count] = plane + (int32_t)f * in.t;
            taps->column[taps->count] = j * w.dilation_t - w.pad_t;
            taps->weight[taps->count++] = weight;
            taps->sum += weight;
        }
    }
}

/* Output columns from `t` to `end`, any of whose taps may lie outside the frames: those count as zero. */
static void ea_edges(const ea_taps *taps, int frames, int stride, int32_t zero, const ea_ending *e, int8_t *line, int t,
                     int end)
{
    for (; t < end; t++) {
        int32_t sum = e->bias;
        for (int k = 0; k < taps->count; k++) {
            const int at = t * stride + taps->column[k];
            sum += taps->weight[k] * (at >= 0 && at < frames ? taps->line[k][at] : zero);
        }
        line[t] = ea_finish(sum, e->multiplier, e->shift, e->zero_point, e->low);
    }
}

/* Output columns whose taps all lie inside, for up to three taps: absent ones weigh nothing. */
static void ea_three(const ea_taps *taps, int stride, const ea_ending *e, int8_t *line, ea_span inner)
{
    const int8_t *a = taps->line[0] + taps->column[0] + inner.first * stride, *b = a, *c = a;
    const int32_t wa = taps->weight[0];
    int32_t wb = 0, wc = 0;
    if (taps->count > 1) {
        b = taps->line[1] + taps->column[1] + inner.first * stride;
        wb = taps->weight[1];
    }
    if (taps->count > 2) {
        c = taps->line[2] + taps->column[2] + inner.first * stride;
        wc = taps->weight[2];
    }
    const int32_t start = e->bias, multiplier = e->multiplier, zero_point = e->zero_point, low = e->low;
    const int shift = e->shift;
    for (int t = inner.first; t < inner.end; t++) {
        line[t] = ea_finish(start + wa * *a + wb * *b + wc * *c, multiplier, shift, zero_point, low);
        a += stride;
        b += stride;
        c += stride;
    }
}

static void ea_many(const ea_taps *taps, int stride, const ea_ending *e, int8_t *line, ea_span inner)
{
    for (int t = inner.first; t < inner.end; t++) {
        int32_t sum = e->bias;
        for (int k = 0; k < taps->count; k++)
            sum += taps->weight[k] * taps->line[k][t * stride + taps->column[k]];
        line[t] = ea_finish(sum, e->multiplier, e->shift, e->zero_point, e->low);
    }
}

void ea_depthwise(const int8_t *input, ea_shape in, int32_t input_zero_point, const int8_t *weights, ea_window window,
                  const ea_requant *requant, int8_t *output, ea_shape out)
{
    const ea_span inner = ea_inner(window, in.t, out.t);
    const int band_rows = out.f / requant->bands;
    const int size = window.kernel_f * window.kernel_t, stride = window.stride_t;
    for (int c = 0; c < out.c; c++) {
        const int8_t *plane = input + (int32_t)c * in.f * in.t;
        for (int f = 0; f < out.f; f++) {
            int8_t *line = output + ((int32_t)c * out.f + f) * out.t;
            ea_taps taps;
            ea_gather(&taps, plane, in, weights + c * size, window, f * window.stride_f - window.pad_f);
            ea_ending ending = ea_ending_of(requant, f / band_rows * out.c + c);
            ending.bias -= taps.sum * input_zero_point;
            ea_edges(&taps, in.t, stride, input_zero_point, &ending, line, 0, inner.first);
            if (taps.count > 0 && taps.count <= 3)
                ea_three(&taps, stride, &ending, line, inner);
            else
                ea_many(&taps, stride, &ending, line, inner);
            ea_edges(&taps, in.t, stride, input_zero_point, &ending, line, inner.end, out.t);
        }
    }
}
