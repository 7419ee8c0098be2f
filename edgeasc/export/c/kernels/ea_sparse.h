/* SPDX-License-Identifier: 0BSD OR Apache-2.0 */
/* What the sparse point-wise kernels share: eight pixels at once along a row of pairs (gap, value), where a gap counts
 * the channels since the last pair. Storages with shorter positions are unpacked to such a row, once per output channel. */
#ifndef EA_SPARSE_H
#define EA_SPARSE_H

#include "ea_mve.h"

enum {
    EA_EIGHT = 8,
    EA_PAIRS = 256 /* in an unpacked row, at most: the generator has checked */
};

typedef struct {
    uint8_t pairs[2 * EA_PAIRS];
    int count;
} ea_unpacked;

static inline void ea_put(ea_unpacked *row, int gap, int8_t value)
{
    for (; gap > 255; gap -= 255) {
        row->pairs[2 * row->count] = 255;
        row->pairs[2 * row->count++ + 1] = 0;
    }
    row->pairs[2 * row->count] = (uint8_t)gap;
    row->pairs[2 * row->count++ + 1] = (uint8_t)value;
}

/* A number below 255 in one byte, or 255 and two bytes, the lower first. */
static inline const uint8_t *ea_length(const uint8_t *stream, int *length)
{
    *length = *stream++;
    if (*length == 255) {
        *length = stream[0] + 256 * stream[1];
        stream += 2;
    }
    return stream;
}

/* Kept out of the loop over blocks, whose values would push the sums out of the registers. */
#if defined(__GNUC__)
#define EA_APART __attribute__((noinline))
#else
#define EA_APART
#endif

/* `start` plus twice the sums of eight pixels. */
static EA_APART void ea_walk(const int8_t *x, int32_t plane, const uint8_t *pairs, const uint8_t *end, int32_t start,
                             int32_t *doubled)
{
    int32_t s0 = 0, s1 = 0, s2 = 0, s3 = 0, s4 = 0, s5 = 0, s6 = 0, s7 = 0;
    for (; pairs != end; pairs += 2) {
        const int32_t weight = (int8_t)pairs[1];
        x += pairs[0] * plane;
        s0 += weight * x[0];
        s1 += weight * x[1];
        s2 += weight * x[2];
        s3 += weight * x[3];
        s4 += weight * x[4];
        s5 += weight * x[5];
        s6 += weight * x[6];
        s7 += weight * x[7];
    }
    doubled[0] = start + 2 * s0;
    doubled[1] = start + 2 * s1;
    doubled[2] = start + 2 * s2;
    doubled[3] = start + 2 * s3;
    doubled[4] = start + 2 * s4;
    doubled[5] = start + 2 * s5;
    doubled[6] = start + 2 * s6;
    doubled[7] = start + 2 * s7;
}

static inline int32_t ea_walk_one(const int8_t *x, int32_t plane, const uint8_t *pairs, int count)
{
    int32_t sum = 0;
    for (; count > 0; count--, pairs += 2) {
        x += pairs[0] * plane;
        sum += (int8_t)pairs[1] * *x;
    }
    return sum;
}

/* Blocks of eight pixels from `p` to `end`; returns the first pixel that is left. */
static inline int32_t ea_blocks(const int8_t *input, int32_t plane, const uint8_t *pairs, int count,
                                const ea_ending *ending, int8_t *line, int32_t p, int32_t end)
{
    const uint8_t *const stop = pairs + 2 * count;
    int32_t doubled[EA_EIGHT];
#if EA_DSP
    ea_quick quick;
    if (ea_quick_of(ending, &quick)) {
        for (; p + EA_EIGHT <= end; p += EA_EIGHT) {
            ea_walk(input + p, plane, pairs, stop, 2 * ending->bias, doubled);
            for (int i = 0; i < EA_EIGHT; i++)
                line[p + i] = ea_quick_end(doubled[i], quick);
        }
        return p;
    }
#endif
    for (; p + EA_EIGHT <= end; p += EA_EIGHT) {
        ea_walk(input + p, plane, pairs, stop, 0, doubled);
        for (int i = 0; i < EA_EIGHT; i++)
            line[p + i] = ea_end(doubled[i] / 2, ending);
    }
    return p;
}

/* All pixels of output channel `c`. */
static inline void ea_sparse_channel(const int8_t *input, const uint8_t *pairs, int count, const ea_requant *requant,
                                     int c, int8_t *line, ea_shape out)
{
    const int32_t plane = (int32_t)out.f * out.t, band = plane / requant->bands;
    for (int s = 0; s < requant->bands; s++) {
        const ea_ending ending = ea_ending_of(requant, s * out.c + c);
        const int32_t end = (s + 1) * band;
#if EA_MVE
        ea_vector_ending vector;
        if (band >= 4 * EA_LANES && ea_vector_of(&ending, &vector)) {
            ea_vector_row(input + s * band, plane, pairs, pairs + 2 * count, &vector, line + s * band, band);
            continue;
        }
#endif
        int32_t p = ea_blocks(input, plane, pairs, count, &ending, line, s * band, end);
        if (p < end && band >= EA_EIGHT) /* the last block computes some values again */
            p = ea_blocks(input, plane, pairs, count, &ending, line, end - EA_EIGHT, end);
        for (; p < end; p++)
            line[p] = ea_end(ea_walk_one(input + p, plane, pairs, count), &ending);
    }
}

#endif
