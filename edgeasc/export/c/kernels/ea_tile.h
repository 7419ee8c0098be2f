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

/* Sums of a row of weights with six columns, for `quads` fours of inputs, at least one. */
#ifndef EA_DSP_IN_C
EA_RARE
#endif
static void ea_tile_sums(const uint32_t *columns, const int8_t *weights, int quads, int32_t *sums)
{
    for (int p = 0; p < EA_SIX; p++)
        sums[p] = 0;
    for (; quads > 0; quads--, weights += 4, columns += EA_QUAD_WORDS) {
        const uint32_t word = ea_load4(weights);
        for (int p = 0; p < EA_SIX; p++)
            sums[p] = ea_dual(columns[p + EA_SIX], ea_odd(word), ea_dual(columns[p], ea_even(word), sums[p]));
    }
}

/* What makes sums output values, in the order in which it is loaded. */
typedef struct {
    int32_t start; /* twice the bias */
    ea_quick quick;
} ea_six;

/* Six output values; sums in r3 to r8. */
#ifndef EA_DSP_IN_C
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
#if EA_ROUNDING == 2
#define EA_HIGH(sum) "add r12, r10, " sum ", asr #31\nsmmlar " sum ", " sum ", r9, r12\n"
#else
#define EA_HIGH(sum) "smmla " sum ", " sum ", r9, r10\n"
#endif
#define EA_STORE(sum, place)                                                                                           \
    "add " sum ", r2, " sum ", lsl #1\n" EA_HIGH(sum) "asr " sum ", " sum ", r11\nssat " sum ", #8, " sum "\nstrb "      \
    sum ", [lr, " place "]\n"

static __attribute__((naked, noinline)) void ea_tile(const uint32_t *columns __attribute__((unused)),
                                                     const int8_t *weights __attribute__((unused)),
                                                     int quads __attribute__((unused)),
                                                     const ea_six *k __attribute__((unused)),
                                                     int8_t *output __attribute__((unused)))
{
    __asm__ volatile("push {r3-r11, lr}\n"
                     "movs r3, #0\n"
                     "movs r4, #0\n"
                     "movs r5, #0\n"
                     "movs r6, #0\n"
                     "movs r7, #0\n"
                     "mov r8, r3\n"
                     "adds r2, r2, #1\n"
                     "lsrs r2, r2, #1\n"
                     "bcc 2f\n" /* an odd number: begin with the second of two */
                     "1:\n" EA_QUAD "2:\n" EA_QUAD "subs r2, r2, #1\n"
                     "bne 1b\n"
                     "ldr r12, [sp]\n"
                     "ldr lr, [sp, #40]\n"
                     "ldmia r12, {r2, r9, r10, r11}\n" /* start, multiplier, addend, shift */
                     EA_STORE("r3", "#0") EA_STORE("r4", "#1") EA_STORE("r5", "#2") EA_STORE("r6", "#3")
                     EA_STORE("r7", "#4") EA_STORE("r8", "#5") "pop {r3-r11, pc}\n");
}
#undef EA_QUAD
#undef EA_HIGH
#undef EA_STORE
#else
static void ea_tile(const uint32_t *columns, const int8_t *weights, int quads, const ea_six *k, int8_t *output)
{
    int32_t sums[EA_SIX];
    ea_tile_sums(columns, weights, quads, sums);
    for (int p = 0; p < EA_SIX; p++)
        output[p] = ea_quick_end(k->start + 2 * sums[p], k->quick);
}
#endif

/* One output channel of `tiles` times six neighbouring pixels. */
static inline void ea_tile_row(const uint32_t *columns, const int8_t *weights, int quads, int tiles, const ea_ending *e,
                               int8_t *output)
{
    ea_six six = {2 * e->bias, {0, 0, 0}};
    if (e->multiplier == 0) {
        ea_constant(e, output, (int32_t)tiles * EA_SIX);
        return;
    }
    if (ea_quick_of(e, &six.quick)) {
        for (; tiles > 0; tiles--, columns += quads * EA_QUAD_WORDS, output += EA_SIX)
            ea_tile(columns, weights, quads, &six, output);
        return;
    }
    for (; tiles > 0; tiles--, columns += quads * EA_QUAD_WORDS, output += EA_SIX) {
        int32_t sums[EA_SIX];
        ea_tile_sums(columns, weights, quads, sums);
        for (int p = 0; p < EA_SIX; p++)
            output[p] = ea_end(sums[p], e);
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
    const int behind = size % 4 == 0 ? 0 : size == 1 ? 3 : 1; /* rows that must follow for the last word to end in them */
    for (int c = 0; c < channels; c++, weights += size, output += plane) {
        const ea_ending ending = ea_ending_of(requant, (int32_t)band * channels + c);
        if (c + behind < channels) {
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
