/* SPDX-License-Identifier: 0BSD OR Apache-2.0 */
/* Convolution with any kernel, one group: one output row of one channel at a time, eight values of it at once. */
#include "ea_mve.h"
#include "ea_tile.h"

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

EA_RARE static void ea_plain(const int8_t *input, ea_shape in, int32_t input_zero_point, const int8_t *weights,
                     ea_window window, const ea_requant *requant, int8_t *output, ea_shape out)
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

#if EA_MVE
/* The column of one pixel, the zero point left on, and for inputs that it lacks put in. */
static void ea_vector_gather(const int8_t *input, ea_shape in, int32_t zero, ea_window w, int row, int column,
                             int8_t *columns)
{
    int k = 0;
    for (int c = 0; c < in.c; c++)
        for (int i = 0; i < w.kernel_f; i++) {
            const int f = row + i * w.dilation_f;
            const int8_t *line = input + ((int32_t)c * in.f + f) * in.t;
            for (int j = 0, t = column; j < w.kernel_t; j++, t += w.dilation_t, k++)
                columns[k / EA_CHUNK * EA_CHUNK_BYTES + k % EA_CHUNK] =
                    f >= 0 && f < in.f && t >= 0 && t < in.t ? line[t] : (int8_t)zero;
        }
}

static void ea_vectors(const int8_t *input, ea_shape in, int32_t zero, const int8_t *weights, ea_window w,
                       const ea_requant *requant, int band, int8_t *output, ea_shape out)
{
    const int32_t plane = (int32_t)out.f * out.t, size = plane / requant->bands, end = (band + 1) * size;
    const int bytes = ea_vector_chunks(in.c * w.kernel_f * w.kernel_t) * EA_CHUNK_BYTES;
    int8_t columns[bytes];
    for (int i = bytes - EA_CHUNK_BYTES; i < bytes; i++)
        columns[i] = 0; /* inputs that the last chunk lacks */
    for (int32_t p = band * size; p < end; p += EA_TILE_PIXELS) {
        p = p + EA_TILE_PIXELS > end ? end - EA_TILE_PIXELS : p; /* the last tile computes some values again */
        for (int i = 0; i < EA_TILE_PIXELS; i++) {
            const int f = (int)((p + i) / out.t), t = (int)((p + i) % out.t);
            ea_vector_gather(input, in, zero, w, f * w.stride_f - w.pad_f, t * w.stride_t - w.pad_t,
                             columns + i * EA_CHUNK);
        }
        ea_vector_channels(columns, weights, in.c * w.kernel_f * w.kernel_t, zero, requant, band, output + p, out.c,
                           plane);
    }
}
#endif

#if EA_DSP
/* The inputs of one pixel in the order of the weights, the zero point where it has none. */
static void ea_patch(const int8_t *input, ea_shape in, int8_t zero, ea_window w, int row, int column, int8_t *patch)
{
    const int inside = w.dilation_t == 1 && column >= 0 && column + w.kernel_t <= in.t;
    for (int c = 0; c < in.c; c++)
        for (int i = 0; i < w.kernel_f; i++) {
            const int f = row + i * w.dilation_f;
            const int8_t *line = input + ((int32_t)c * in.f + f) * in.t + column;
            int left = w.kernel_t;
            if (f >= 0 && f < in.f && inside) {
                for (; left >= 4; left -= 4, line += 4, patch += 4) {
                    const uint32_t word = ea_load4(line);
                    __builtin_memcpy(patch, &word, sizeof word);
                }
                for (; left > 0; left--)
                    *patch++ = *line++;
            } else {
                for (int t = column; left > 0; left--, t += w.dilation_t, line += w.dilation_t)
                    *patch++ = f >= 0 && f < in.f && t >= 0 && t < in.t ? *line : zero;
            }
        }
}

/* The column of a patch of `quads` fours of inputs, the zero point taken off. */
static inline void ea_widen(const int8_t *patch, int quads, uint32_t zeros, uint32_t *column)
{
    for (; quads > 0; quads--, patch += 4, column += EA_QUAD_WORDS) {
        const uint32_t word = ea_load4(patch);
        column[0] = ea_minus(ea_even(word), zeros);
        column[EA_SIX] = ea_minus(ea_odd(word), zeros);
    }
}

/* Rows of one band, as many tiles of six pixels at once as fit; the last of a row of pixels computes some again. */
static void ea_tiled(const int8_t *input, ea_shape in, int32_t zero, const int8_t *weights, ea_window w,
                     const ea_requant *requant, int band, int8_t *output, ea_shape out, int at_once)
{
    const int size = in.c * w.kernel_f * w.kernel_t, quads = (size + 3) / 4, words = quads * EA_QUAD_WORDS;
    const int32_t plane = (int32_t)out.f * out.t, start = plane / requant->bands * band;
    const int32_t end = start + plane / requant->bands;
    uint32_t columns[at_once * words];
    int8_t patch[EA_MOST_BYTES / (EA_QUAD_WORDS * sizeof(uint32_t)) * 4];
    for (int k = size; k < 4 * quads; k++)
        patch[k] = (int8_t)zero;
    for (int32_t p = start; p < end;) {
        int tiles = ea_next_tiles(end - p, at_once);
        if (tiles == 0) {
            p = end - EA_SIX;
            tiles = 1;
        }
        int f = (int)(p / out.t), t = (int)(p % out.t);
        for (int i = 0; i < tiles * EA_SIX; i++) {
            ea_patch(input, in, (int8_t)zero, w, f * w.stride_f - w.pad_f, t * w.stride_t - w.pad_t, patch);
            ea_widen(patch, quads, ea_halves(zero, zero), columns + i / EA_SIX * words + i % EA_SIX);
            if (++t == out.t) {
                t = 0;
                f++;
            }
        }
        ea_tile_channels(columns, tiles, weights, size, requant, band, output + p, out.c, plane);
        p += EA_SIX * tiles;
    }
}
#endif

void ea_conv(const int8_t *input, ea_shape in, int32_t input_zero_point, const int8_t *weights, ea_window window,
             const ea_requant *requant, int8_t *output, ea_shape out)
{
#if EA_MVE
    if (ea_vector_chunks(in.c * window.kernel_f * window.kernel_t) &&
        (int32_t)out.f * out.t >= (int32_t)requant->bands * EA_TILE_PIXELS) {
        for (int s = 0; s < requant->bands; s++)
            ea_vectors(input, in, input_zero_point, weights, window, requant, s, output, out);
        return;
    }
#endif
#if EA_DSP
    const int at_once = ea_tiles_at_once((in.c * window.kernel_f * window.kernel_t + 3) / 4);
    if (at_once && (int32_t)out.f * out.t >= (int32_t)requant->bands * EA_SIX) {
        for (int s = 0; s < requant->bands; s++)
            ea_tiled(input, in, input_zero_point, weights, window, requant, s, output, out, at_once);
        return;
    }
#endif
    ea_plain(input, in, input_zero_point, weights, window, requant, output, out);
}
