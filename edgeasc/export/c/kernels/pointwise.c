/* SPDX-License-Identifier: 0BSD OR Apache-2.0 */
/* Point-wise convolution with all weights stored. */
#include "ea_mve.h"
#include "ea_tile.h"

enum { BLOCK = 4 };

static void ea_write(const int32_t *sums, int count, const ea_ending *ending, int8_t *output)
{
    for (int p = 0; p < count; p++)
        output[p] = ea_end(sums[p], ending);
}

/* Four pixels of two output channels. */
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

/* Pixels from `start` to `end`, all of one band. */
EA_RARE static void ea_plain(const int8_t *input, int c_in, const int8_t *weights, const ea_requant *requant, int band,
                     int8_t *output, int channels, int32_t plane, int32_t start, int32_t end)
{
    for (int c = 0; c < channels; c += 2) {
        const int pair = c + 1 < channels;
        const int8_t *first = weights + (int32_t)c * c_in, *second = pair ? first + c_in : first;
        const ea_ending endings[2] = {ea_ending_of(requant, band * channels + c),
                                      ea_ending_of(requant, band * channels + c + pair)};
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

#if EA_DSP
/* Six words of two channels: pixels 0, 2 and 1, 3 of the words at `a` and `b`, then 4 and 5. */
static inline void ea_widen_pair(const int8_t *a, const int8_t *b, uint32_t *words)
{
    const uint32_t a0 = ea_load4(a), b0 = b ? ea_load4(b) : 0, a2 = ea_load4(a + 2), b2 = b ? ea_load4(b + 2) : 0;
    words[0] = ea_lows(ea_even(a0), ea_even(b0));
    words[1] = ea_lows(ea_odd(a0), ea_odd(b0));
    words[2] = ea_tops(ea_even(a0), ea_even(b0));
    words[3] = ea_tops(ea_odd(a0), ea_odd(b0));
    words[4] = ea_tops(ea_even(a2), ea_even(b2));
    words[5] = ea_tops(ea_odd(a2), ea_odd(b2));
}

/* The columns of six pixels; inputs that the last word lacks are 0. */
static void ea_widen(const int8_t *x, int32_t plane, int c_in, uint32_t *columns)
{
    int c = 0;
    for (; c + 4 <= c_in; c += 4, x += 4 * plane, columns += EA_QUAD_WORDS) {
        ea_widen_pair(x, x + 2 * plane, columns);
        ea_widen_pair(x + plane, x + 3 * plane, columns + EA_SIX);
    }
    if (c < c_in) {
        ea_widen_pair(x, c + 2 < c_in ? x + 2 * plane : 0, columns);
        if (c + 1 < c_in)
            ea_widen_pair(x + plane, 0, columns + EA_SIX);
        else
            for (int p = 0; p < EA_SIX; p++)
                columns[EA_SIX + p] = 0;
    }
}

static void ea_tiled(const int8_t *input, int c_in, const int8_t *weights, const ea_requant *requant, int band,
                     int8_t *output, int channels, int32_t plane, int32_t start, int32_t end, int at_once)
{
    const int words = (c_in + 3) / 4 * EA_QUAD_WORDS;
    uint32_t columns[at_once * words];
    for (int32_t p = start; p < end;) {
        int tiles = ea_next_tiles(end - p, at_once);
        if (tiles == 0) { /* the last tile computes some values again */
            p = end - EA_SIX;
            tiles = 1;
        }
        for (int i = 0; i < tiles; i++)
            ea_widen(input + p + EA_SIX * i, plane, c_in, columns + i * words);
        ea_tile_channels(columns, tiles, weights, c_in, requant, band, output + p, channels, plane);
        p += EA_SIX * tiles;
    }
}
#endif

#if EA_MVE
static void ea_vectors(const int8_t *input, int c_in, const int8_t *weights, const ea_requant *requant, int band,
                       int8_t *output, int channels, int32_t plane, int32_t start, int32_t end)
{
    const int bytes = ea_vector_chunks(c_in) * EA_CHUNK_BYTES;
    int8_t columns[bytes];
    for (int i = bytes - EA_CHUNK_BYTES; i < bytes; i++)
        columns[i] = 0; /* inputs that the last chunk lacks */
    for (int32_t p = start; p < end; p += EA_TILE_PIXELS) {
        p = p + EA_TILE_PIXELS > end ? end - EA_TILE_PIXELS : p; /* the last tile computes some values again */
        ea_vector_columns(input + p, plane, c_in, columns);
        ea_vector_channels(columns, weights, c_in, 0, requant, band, output + p, channels, plane);
    }
}
#endif

void ea_pointwise(const int8_t *input, int c_in, const int8_t *weights, const ea_requant *requant, int8_t *output,
                  ea_shape out)
{
    const int32_t plane = (int32_t)out.f * out.t, size = plane / requant->bands;
    for (int s = 0; s < requant->bands; s++) {
        const int32_t start = s * size, end = start + size;
#if EA_MVE
        if (ea_vector_chunks(c_in) && size >= EA_TILE_PIXELS) {
            ea_vectors(input, c_in, weights, requant, s, output, out.c, plane, start, end);
            continue;
        }
#endif
#if EA_DSP
        const int at_once = ea_tiles_at_once((c_in + 3) / 4);
        if (at_once && size >= EA_SIX)
            ea_tiled(input, c_in, weights, requant, s, output, out.c, plane, start, end, at_once);
        else
#endif
            ea_plain(input, c_in, weights, requant, s, output, out.c, plane, start, end);
    }
}
