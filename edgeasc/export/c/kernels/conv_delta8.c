/* SPDX-License-Identifier: 0BSD OR Apache-2.0 */
/* Convolution whose weights other than zero are pairs (gap, value) along (input channel, row, column) of the kernel: see
 * pointwise_delta8.c. The inputs of some pixels are laid out as that kernel finds them, a plane for every weight; what
 * lies outside is the zero point, which the bias already holds. */
#include "ea_sparse.h"

enum { PATCH_BYTES = 2048, MOST_PIXELS = 80 };

/* The inputs of one pixel, `pixels` bytes apart. */
static void ea_patch(const int8_t *input, ea_shape in, int8_t zero, ea_window w, int row, int column, int pixels,
                     int8_t *patch)
{
    const int inside = column >= 0 && column + (w.kernel_t - 1) * w.dilation_t < in.t;
    for (int c = 0; c < in.c; c++)
        for (int i = 0; i < w.kernel_f; i++) {
            const int f = row + i * w.dilation_f;
            const int8_t *x = input + ((int32_t)c * in.f + f) * in.t + column;
            const int there = f >= 0 && f < in.f;
            if (there && inside)
                for (int j = w.kernel_t; j > 0; j--, x += w.dilation_t, patch += pixels)
                    *patch = *x;
            else
                for (int j = 0, t = column; j < w.kernel_t; j++, x += w.dilation_t, t += w.dilation_t, patch += pixels)
                    *patch = there && t >= 0 && t < in.t ? *x : zero;
        }
}

void ea_conv_delta8(const int8_t *input, ea_shape in, int32_t input_zero_point, const uint8_t *stream, ea_window window,
                    const ea_requant *requant, int8_t *output, ea_shape out)
{
    const int size = in.c * window.kernel_f * window.kernel_t, fit = PATCH_BYTES / size / EA_EIGHT * EA_EIGHT;
    const int pixels = fit < MOST_PIXELS ? fit : MOST_PIXELS;
    const int32_t plane = (int32_t)out.f * out.t, band = plane / requant->bands;
    int8_t patch[PATCH_BYTES];
    for (int32_t p = 0, end = band; p < plane; end = p == end ? end + band : end) {
        const int count = end - p < pixels ? (int)(end - p) : pixels;
        for (int i = 0; i < count; i++) {
            const int f = (int)((p + i) / out.t), t = (int)((p + i) % out.t);
            ea_patch(input, in, (int8_t)input_zero_point, window, f * window.stride_f - window.pad_f,
                     t * window.stride_t - window.pad_t, pixels, patch + i);
        }
        const uint8_t *row = stream;
        for (int c = 0; c < out.c; c++) {
            int pairs;
            row = ea_length(row, &pairs);
            const ea_ending ending = ea_ending_of(requant, (int32_t)(p / band) * out.c + c);
            ea_sparse_run(patch, pixels, row, pairs, &ending, output + c * plane + p, 0, count);
            row += 2 * pairs;
        }
        p += count;
    }
}
