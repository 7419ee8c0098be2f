/* SPDX-License-Identifier: 0BSD OR Apache-2.0 */
/* Helium (MVE) on Cortex-M55 and later: endings, dense tiles and sparse rows in vectors. The same integers as without. */
#ifndef EA_MVE_H
#define EA_MVE_H

#include "ea_kernels.h"

#if defined(__ARM_FEATURE_MVE) && !defined(EA_PLAIN)
#define EA_MVE 1
#else
#define EA_MVE 0
#endif

#if EA_MVE
#include <arm_mve.h>

enum {
    EA_LANES = 4,
    EA_CHUNK = 16,                          /* inputs that meet their weights in one instruction */
    EA_TILE_PIXELS = 8,
    EA_CHUNK_BYTES = EA_CHUNK * EA_TILE_PIXELS,
    EA_MOST_CHUNKS = 32                     /* of a tile's columns on the stack; longer ones go another way */
};

/* An ending for four sums at once, that begin with the bias. */
typedef struct {
    int32_t bias;
    int32_t multiplier;
    int32_t right; /* shift after the high half of the product */
    int32_t zero_point;
    int32_t low;
} ea_vector_ending;

/* Whether `e` can be written so: it shifts to the right, or is a constant. */
static inline int ea_vector_of(const ea_ending *e, ea_vector_ending *v)
{
    const int nothing = EA_ROUNDING == 2 ? 0 : 1; /* bits that the product's high half has been shifted already */
    const int right = e->multiplier == 0 ? 1 : -e->shift - nothing;
    *v = (ea_vector_ending){e->bias, e->multiplier, right, e->zero_point, e->low};
    return right > 0;
}

static inline int32x4_t ea_vector_end(int32x4_t sums, const ea_vector_ending *v)
{
#if EA_ROUNDING == 2
    int32x4_t r = vqrdmulhq_n_s32(sums, v->multiplier);
    r = vaddq_s32(r, vshrq_n_s32(r, 31)); /* halves go away from zero */
#else
    int32x4_t r = vmulhq_s32(sums, vdupq_n_s32(v->multiplier));
#endif
    r = vmaxq_s32(vaddq_n_s32(vrshlq_n_s32(r, -v->right), v->zero_point), vdupq_n_s32(v->low));
    /* Limited twice within its lane, whose lowest byte is what is stored. */
    const int16x8_t half = vqmovnbq_s32(vreinterpretq_s16_s32(r), r);
    return vreinterpretq_s32_s8(vqmovnbq_s16(vreinterpretq_s8_s16(half), half));
}

/* That the predicate register is written. GCC has no other name for it; for others a call is enough. */
#if defined(__clang__)
#define EA_PREDICATE
#else
#define EA_PREDICATE [lanes] "=&Up"(lanes),
#endif

/* sums[p] = start + row of weights times the column of pixel p, for at least one weight. Columns lie as
 * [chunk][pixel][input of the chunk]. */
static __attribute__((noinline)) void ea_vector_tile(const int8_t *columns, const int8_t *weights, int size,
                                                     int32_t start, int32_t *sums)
{
    int32_t s0 = start, s1 = start, s2 = start, s3 = start, s4 = start, s5 = start, s6 = start, s7 = start;
    mve_pred16_t lanes;
#define EA_MEET(sum) "vldrb.8 q1, [%[x]], #16\nvmladava.s8 %[" #sum "], q0, q1\n"
    __asm__ volatile("1:\n"
                     "vctp.8 %[n]\n"
                     "vpst\n"
                     "vldrbt.8 q0, [%[w]], #16\n" EA_MEET(s0) EA_MEET(s1) EA_MEET(s2) EA_MEET(s3) EA_MEET(s4)
                         EA_MEET(s5) EA_MEET(s6) EA_MEET(s7) "subs %[n], %[n], #16\n"
                                                             "bgt 1b\n"
                     : EA_PREDICATE [s0] "+Te"(s0), [s1] "+Te"(s1), [s2] "+Te"(s2), [s3] "+Te"(s3), [s4] "+Te"(s4),
                       [s5] "+Te"(s5), [s6] "+Te"(s6), [s7] "+Te"(s7), [x] "+r"(columns), [w] "+r"(weights),
                       [n] "+r"(size)
                     :
                     : "q0", "q1", "cc", "memory");
#undef EA_MEET
    (void)lanes;
    sums[0] = s0;
    sums[1] = s1;
    sums[2] = s2;
    sums[3] = s3;
    sums[4] = s4;
    sums[5] = s5;
    sums[6] = s6;
    sums[7] = s7;
}

static inline int32_t ea_vector_sum(const int8_t *weights, int size)
{
    int32_t sum = 0;
    for (; size > 0; size -= EA_CHUNK, weights += EA_CHUNK)
        sum = vaddvaq_s8(sum, vldrbq_z_s8(weights, vctp8q((uint32_t)size)));
    return sum;
}

/* Chunks of `size` inputs, or 0 where there are too many of them. */
static inline int ea_vector_chunks(int size)
{
    const int chunks = (size + EA_CHUNK - 1) / EA_CHUNK;
    return chunks > EA_MOST_CHUNKS ? 0 : chunks;
}

/* All output channels of eight pixels, at most one of them in several bands; `zero` is in every input of the columns. */
static inline void ea_vector_channels(const int8_t *columns, const int8_t *weights, int size, int32_t zero,
                                      const ea_requant *requant, int band, int8_t *output, int channels, int32_t plane)
{
    for (int c = 0; c < channels; c++, weights += size, output += plane) {
        const ea_ending ending = ea_ending_of(requant, (int32_t)band * channels + c);
        ea_vector_ending v;
        int32_t sums[EA_TILE_PIXELS];
        const int32_t offset = zero ? zero * ea_vector_sum(weights, size) : 0;
        ea_vector_tile(columns, weights, size, ending.bias - offset, sums);
        if (ea_vector_of(&ending, &v)) {
            vstrbq_s32(output, ea_vector_end(vldrwq_s32(sums), &v));
            vstrbq_s32(output + EA_LANES, ea_vector_end(vldrwq_s32(sums + EA_LANES), &v));
        } else {
            for (int p = 0; p < EA_TILE_PIXELS; p++)
                output[p] = ea_finish(sums[p], ending.multiplier, ending.shift, ending.zero_point, ending.low);
        }
    }
}

/* The columns of eight neighbouring pixels of a point-wise layer. */
static inline void ea_vector_columns(const int8_t *input, int32_t plane, int c_in, int8_t *columns)
{
    const uint16x8_t places = vmulq_n_u16(vidupq_n_u16(0, 1), EA_CHUNK);
    for (int c = 0; c < c_in; c++, input += plane)
        vstrbq_scatter_offset_s16(columns + c / EA_CHUNK * EA_CHUNK_BYTES + c % EA_CHUNK, places, vldrbq_s16(input));
}

/* A row of (gap, value) pairs over `count` pixels, sixteen at once, at least sixteen in all. */
static inline void ea_vector_row(const int8_t *input, int32_t plane, const uint8_t *pairs, const uint8_t *stop,
                                 const ea_vector_ending *v, int8_t *line, int32_t count)
{
    for (int32_t p = 0; p < count; p += 4 * EA_LANES) {
        p = p + 4 * EA_LANES > count ? count - 4 * EA_LANES : p; /* the last block computes some values again */
        int32x4_t a = vdupq_n_s32(v->bias), b = a, c = a, d = a;
        const int8_t *x = input + p;
        for (const uint8_t *pair = pairs; pair != stop; pair += 2) {
            const int32_t weight = (int8_t)pair[1];
            x += pair[0] * plane;
            a = vmlaq_n_s32(a, vldrbq_s32(x), weight);
            b = vmlaq_n_s32(b, vldrbq_s32(x + EA_LANES), weight);
            c = vmlaq_n_s32(c, vldrbq_s32(x + 2 * EA_LANES), weight);
            d = vmlaq_n_s32(d, vldrbq_s32(x + 3 * EA_LANES), weight);
        }
        vstrbq_s32(line + p, ea_vector_end(a, v));
        vstrbq_s32(line + p + EA_LANES, ea_vector_end(b, v));
        vstrbq_s32(line + p + 2 * EA_LANES, ea_vector_end(c, v));
        vstrbq_s32(line + p + 3 * EA_LANES, ea_vector_end(d, v));
    }
}

#endif
#endif
