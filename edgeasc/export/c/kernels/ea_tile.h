/* SPDX-License-Identifier: 0BSD OR Apache-2.0 */
/* Dense convolution with DSP instructions: six pixels of one output channel at once, two products an instruction.
 *
 * A pixel's inputs, in the order of the weights, are its column. Columns of six pixels lie together in 16-bit halves, so
 * that a word of four weights w0 w1 w2 w3, taken apart as (w0, w2) and (w1, w3), meets its inputs in words: for every
 * four inputs six words (x0, x2), one a pixel, then six words (x1, x3). */
#ifndef EA_TILE_H
#define EA_TILE_H

#include "ea_kernels.h"

#if EA_DSP

enum {
    EA_SIX = 6,
    EA_QUAD_WORDS = 2 * EA_SIX, /* of four inputs */
    EA_TILES = 8,               /* most that are worked on together */
    EA_TILE_BYTES = 2560,       /* of stack for columns where there are two tiles or more */
    EA_MOST_BYTES = 4096        /* and for one; longer columns take the plain path */
};

/* sums[p] = sums[0] + row of weights times column p, for `quads` fours of inputs, at least one. */
#ifndef EA_DSP_IN_C
static __attribute__((naked, noinline)) void ea_tile(const uint32_t *columns __attribute__((unused)),
                                                     const int8_t *weights __attribute__((unused)),
                                                     int quads __attribute__((unused)),
                                                     int32_t *sums __attribute__((unused)))
{
#define EA_QUAD                                                                                                        \
    "ldr r12, [r1], #4\n"                                                                                              \
    "sxtb16 lr, r12\n"                                                                                                 \
    "ldmia r0!, {r9, r10, r11}\n"                                                                                      \
    "smlad r3, r9, lr, r3\n"                                                                                           \
    "smlad r4, r10, lr, r4\n"                                                                                          \
    "smlad r5, r11, lr, r5\n"                                                                                          \
    "ldmia r0!, {r9, r10, r11}\n"                                                                                      \
    "smlad r6, r9, lr, r6\n"                                                                                           \
    "smlad r7, r10, lr, r7\n"                                                                                          \
    "smlad r8, r11, lr, r8\n"                                                                                          \
    "sxtb16 lr, r12, ror #8\n"                                                                                         \
    "ldmia r0!, {r9, r10, r11}\n"                                                                                      \
    "smlad r3, r9, lr, r3\n"                                                                                           \
    "smlad r4, r10, lr, r4\n"                                                                                          \
    "smlad r5, r11, lr, r5\n"                                                                                          \
    "ldmia r0!, {r9, r10, r11}\n"                                                                                      \
    "smlad r6, r9, lr, r6\n"                                                                                           \
    "smlad r7, r10, lr, r7\n"                                                                                          \
    "smlad r8, r11, lr, r8\n"
    __asm__ volatile("push {r3-r11, lr}\n"
                     "ldr r3, [r3]\n"
                     "mov r4, r3\n"
                     "mov r5, r3\n"
                     "mov r6, r3\n"
                     "mov r7, r3\n"
                     "mov r8, r3\n"
                     "adds r2, r2, #1\n"
                     "lsrs r2, r2, #1\n"
                     "bcc 2f\n" /* an odd number: begin with the second of two */
                     "1:\n" EA_QUAD "2:\n" EA_QUAD "subs r2, r2, #1\n"
                     "bne 1b\n"
                     "ldr r12, [sp]\n"
                     "stmia r12, {r3-r8}\n"
                     "pop {r3-r11, pc}\n");
#undef EA_QUAD
}
#else
static void ea_tile(const uint32_t *columns, const int8_t *weights, int quads, int32_t *sums)
{
    for (int p = EA_SIX - 1; p >= 0; p--)
        sums[p] = sums[0];
    for (; quads > 0; quads--, weights += 4, columns += EA_QUAD_WORDS) {
        const uint32_t word = ea_load4(weights);
        for (int p = 0; p < EA_SIX; p++)
            sums[p] = ea_dual(columns[p + EA_SIX], ea_odd(word), ea_dual(columns[p], ea_even(word), sums[p]));
    }
}
#endif

/* One output channel of `tiles` times six neighbouring pixels. */
static inline void ea_tile_row(const uint32_t *columns, const int8_t *weights, int quads, int tiles, const ea_ending *e,
                               int8_t *output)
{
    ea_quick q;
    const int quick = ea_quick_of(e, &q);
    int32_t sums[EA_SIX];
    for (; tiles > 0; tiles--, columns += quads * EA_QUAD_WORDS, output += EA_SIX) {
        sums[0] = e->bias;
        ea_tile(columns, weights, quads, sums);
        if (quick)
            for (int p = 0; p < EA_SIX; p++)
                output[p] = ea_quick_end(2 * sums[p], q);
        else
            for (int p = 0; p < EA_SIX; p++)
                output[p] = ea_finish(sums[p], e->multiplier, e->shift, e->zero_point, e->low);
    }
}

/* How many tiles to work on together for columns of `quads` fours, or 0 where even one is too long. */
static inline int ea_tiles_at_once(int quads)
{
    const int bytes = quads * EA_QUAD_WORDS * (int)sizeof(uint32_t), tiles = EA_TILE_BYTES / bytes;
    return bytes > EA_MOST_BYTES ? 0 : tiles < 1 ? 1 : tiles > EA_TILES ? EA_TILES : tiles;
}

/* How many tiles come next where `left` pixels are left, at least six; 0: fewer than six, one tile that ends with them. */
static inline int ea_next_tiles(int32_t left, int at_once)
{
    return left >= (int32_t)at_once * EA_SIX ? at_once : (int)(left / EA_SIX);
}

/* All output channels of the tiles at `output`, [c_out][plane]. `size` weights a channel. */
static inline void ea_tile_channels(const uint32_t *columns, int tiles, const int8_t *weights, int size,
                                    const ea_requant *requant, int band, int8_t *output, int channels, int32_t plane)
{
    const int quads = (size + 3) / 4;
    for (int c = 0; c < channels; c++, weights += size, output += plane) {
        const ea_ending ending = ea_ending_of(requant, (int32_t)band * channels + c);
        if (c + 1 < channels || size % 4 == 0) {
            ea_tile_row(columns, weights, quads, tiles, &ending, output);
        } else { /* the last word would end behind the weights */
            int8_t last[EA_MOST_BYTES / (EA_QUAD_WORDS * sizeof(uint32_t)) * 4];
            for (int i = 0; i < 4 * quads; i++)
                last[i] = i < size ? weights[i] : 0;
            ea_tile_row(columns, last, quads, tiles, &ending, output);
        }
    }
}

#endif
#endif
