/* SPDX-License-Identifier: 0BSD OR Apache-2.0 */
/* What the sparse point-wise kernels share: eight pixels at once along a row of weights, however the row is stored. */
#ifndef EA_SPARSE_H
#define EA_SPARSE_H

#include "ea_kernels.h"

enum { EA_EIGHT = 8 };

typedef struct {
    int32_t s0, s1, s2, s3, s4, s5, s6, s7;
} ea_eight;

/* The weights of one output channel. */
typedef struct {
    const uint8_t *index;
    const int8_t *values;
    int length;
} ea_row;

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

static inline void ea_eight_add(ea_eight *e, int32_t weight, const int8_t *x)
{
    e->s0 += weight * x[0];
    e->s1 += weight * x[1];
    e->s2 += weight * x[2];
    e->s3 += weight * x[3];
    e->s4 += weight * x[4];
    e->s5 += weight * x[5];
    e->s6 += weight * x[6];
    e->s7 += weight * x[7];
}

static inline void ea_eight_end(const ea_eight *e, const ea_ending *ending, int8_t *line)
{
    line[0] = ea_end(e->s0, ending);
    line[1] = ea_end(e->s1, ending);
    line[2] = ea_end(e->s2, ending);
    line[3] = ea_end(e->s3, ending);
    line[4] = ea_end(e->s4, ending);
    line[5] = ea_end(e->s5, ending);
    line[6] = ea_end(e->s6, ending);
    line[7] = ea_end(e->s7, ending);
}

typedef ea_eight (*ea_walk)(const int8_t *input, int32_t plane, ea_row row);
typedef int32_t (*ea_walk_one)(const int8_t *input, int32_t plane, ea_row row);

/* All pixels of one output channel. Constant functions, so that compilers put their text here. */
static inline void ea_sparse_channel(const int8_t *input, ea_row row, const ea_requant *requant, int c, int8_t *line,
                                     ea_shape out, ea_walk walk, ea_walk_one walk_one)
{
    const int32_t plane = (int32_t)out.f * out.t, band = plane / requant->bands;
    for (int s = 0; s < requant->bands; s++) {
        const ea_ending ending = ea_ending_of(requant, s * out.c + c);
        const int32_t end = (s + 1) * band;
        int32_t p = s * band;
        for (; p + EA_EIGHT <= end; p += EA_EIGHT) {
            const ea_eight sums = walk(input + p, plane, row);
            ea_eight_end(&sums, &ending, line + p);
        }
        if (p < end && band >= EA_EIGHT) { /* the last block computes some values again */
            p = end - EA_EIGHT;
            const ea_eight sums = walk(input + p, plane, row);
            ea_eight_end(&sums, &ending, line + p);
        } else {
            for (; p < end; p++)
                line[p] = ea_end(walk_one(input + p, plane, row), &ending);
        }
    }
}

#endif
