/* SPDX-License-Identifier: 0BSD OR Apache-2.0 */
/* What the sparse point-wise kernels share: eight pixels at once along a row of pairs (gap, value), where a gap counts
 * the channels since the last pair. Storages with shorter positions are unpacked to such a row, once per output channel. */
#ifndef EA_SPARSE_H
#define EA_SPARSE_H

#include "ea_mve.h"

enum {
    EA_EIGHT = 8,
    EA_FOUR = 4,
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

/* Eight sums. Kept out of the loop over blocks, whose values would push the sums out of the registers. */
#if EA_DSP
EA_RARE
#else
EA_APART
#endif
static void ea_walk(const int8_t *x, int32_t plane, const uint8_t *pairs, const uint8_t *end, int32_t *sums)
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
    sums[0] = s0;
    sums[1] = s1;
    sums[2] = s2;
    sums[3] = s3;
    sums[4] = s4;
    sums[5] = s5;
    sums[6] = s6;
    sums[7] = s7;
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

#if EA_DSP
/* What makes eight sums output values, in the order in which it is loaded. */
typedef struct {
    int32_t start; /* twice the bias */
    ea_quick quick;
} ea_eight;

#ifndef EA_DSP_IN_C
#define EA_PAIR(second)                                                                                                \
    "ldrb r3, [r2], #1\n"                                                                                              \
    "ldrsb r12, [r2], #1\n"                                                                                            \
    "mla r0, r3, r1, r0\n"                                                                                             \
    "ldr lr, [r0]\n"                                                                                                   \
    "sxtb16 r3, lr\n"                                                                                                  \
    "smlabb r4, r3, r12, r4\n"                                                                                         \
    "smlatb r6, r3, r12, r6\n"                                                                                         \
    "sxtb16 lr, lr, ror #8\n"                                                                                          \
    "smlabb r5, lr, r12, r5\n"                                                                                         \
    "smlatb r7, lr, r12, r7\n"                                                                                         \
    second                                                                                                             \
    "sxtb16 r3, lr\n"                                                                                                  \
    "smlabb r8, r3, r12, r8\n"                                                                                         \
    "smlatb r10, r3, r12, r10\n"                                                                                       \
    "sxtb16 lr, lr, ror #8\n"                                                                                          \
    "smlabb r9, lr, r12, r9\n"                                                                                         \
    "smlatb r11, lr, r12, r11\n"
#if EA_ROUNDING == 2
#define EA_HIGH(sum) "add r12, r2, " sum ", asr #31\nsmmlar " sum ", " sum ", r1, r12\n"
#else
#define EA_HIGH(sum) "smmla " sum ", " sum ", r1, r2\n"
#endif
#define EA_STORE(sum, place)                                                                                           \
    "add " sum ", r0, " sum ", lsl #1\n" EA_HIGH(sum) "asr " sum ", " sum ", r3\nssat " sum ", #8, " sum "\nstrb "       \
    sum ", [lr, " place "]\n"

/* Eight output values; eight sums in r4 to r11. The second four lie `gap` behind the first: 4, or less where a plane
 * has fewer than eight pixels, some of which are then made twice. */
#define EA_WALK(name, second, move)                                                                                    \
    static __attribute__((naked, noinline)) void name(                                                                 \
        const int8_t *x __attribute__((unused)), int32_t plane __attribute__((unused)),                                \
        const uint8_t *pairs __attribute__((unused)), const uint8_t *end __attribute__((unused)),                      \
        const ea_eight *k __attribute__((unused)), int8_t *output __attribute__((unused)),                             \
        int32_t gap __attribute__((unused)))                                                                           \
    {                                                                                                                  \
        __asm__ volatile("push {r3-r11, lr}\n"                                                                         \
                         "movs r4, #0\n"                                                                               \
                         "movs r5, #0\n"                                                                               \
                         "movs r6, #0\n"                                                                               \
                         "movs r7, #0\n"                                                                               \
                         "mov r8, r4\n"                                                                                \
                         "mov r9, r4\n"                                                                                \
                         "mov r10, r4\n"                                                                               \
                         "mov r11, r4\n"                                                                               \
                         "subs r3, r3, r2\n"                                                                           \
                         "beq 3f\n"                                                                                    \
                         "lsrs r3, r3, #2\n"                                                                           \
                         "bcs 2f\n" /* an odd number: begin with the second of two */                                  \
                         "1:\n" EA_PAIR(second) "2:\n" EA_PAIR(second) "ldr lr, [sp]\n"                               \
                         "cmp r2, lr\n"                                                                                \
                         "bne 1b\n"                                                                                    \
                         "3:\n"                                                                                        \
                         "ldr r12, [sp, #40]\n"                                                                        \
                         "ldr lr, [sp, #44]\n"                                                                         \
                         "ldmia r12, {r0-r3}\n" /* start, multiplier, addend, shift */                                 \
                         EA_STORE("r4", "#0") EA_STORE("r5", "#1") EA_STORE("r6", "#2") EA_STORE("r7", "#3") move      \
                         EA_STORE("r8", "#0") EA_STORE("r9", "#1") EA_STORE("r10", "#2") EA_STORE("r11", "#3")         \
                         "pop {r3-r11, pc}\n");                                                                        \
    }
EA_WALK(ea_walk_eight, "ldr lr, [r0, #4]\n", "add lr, lr, #4\n")
EA_WALK(ea_walk_short, "ldr lr, [sp, #48]\nldr lr, [r0, lr]\n", "ldr r12, [sp, #48]\nadd lr, lr, r12\n")
#else
static void ea_walk_eight(const int8_t *x, int32_t plane, const uint8_t *pairs, const uint8_t *end, const ea_eight *k,
                          int8_t *output, int32_t gap)
{
    int32_t sums[4];
    for (int32_t first = 0; first <= gap; first += gap ? gap : 1) {
        for (int i = 0; i < 4; i++)
            sums[i] = ea_walk_one(x + first + i, plane, pairs, (int)(end - pairs) / 2);
        for (int i = 0; i < 4; i++)
            output[first + i] = ea_quick_end(k->start + 2 * sums[i], k->quick);
    }
}

static void ea_walk_short(const int8_t *x, int32_t plane, const uint8_t *pairs, const uint8_t *end, const ea_eight *k,
                          int8_t *output, int32_t gap)
{
    ea_walk_eight(x, plane, pairs, end, k, output, gap);
}
#endif
#endif

/* Blocks of eight pixels from `p` to `end`; returns the first pixel that is left. */
static inline int32_t ea_blocks(const int8_t *input, int32_t plane, const uint8_t *pairs, int count,
                                const ea_ending *ending, int8_t *line, int32_t p, int32_t end)
{
    const uint8_t *const stop = pairs + 2 * count;
    if (ending->multiplier == 0) {
        ea_constant(ending, line + p, end - p);
        return end;
    }
#if EA_DSP
    ea_eight eight = {2 * ending->bias, {0, 0, 0}};
    if (ea_quick_of(ending, &eight.quick)) {
        for (; p + EA_EIGHT <= end; p += EA_EIGHT)
            ea_walk_eight(input + p, plane, pairs, stop, &eight, line + p, EA_FOUR);
        if (end - p >= EA_FOUR) {
            ea_walk_short(input + p, plane, pairs, stop, &eight, line + p, (int32_t)(end - p) - EA_FOUR);
            p = end;
        }
        return p;
    }
#endif
    for (int32_t sums[EA_EIGHT]; p + EA_EIGHT <= end; p += EA_EIGHT) {
        ea_walk(input + p, plane, pairs, stop, sums);
        for (int i = 0; i < EA_EIGHT; i++)
            line[p + i] = ea_end(sums[i], ending);
    }
    return p;
}

/* Pixels of one band, from `start` to `end`. */
static inline void ea_sparse_run(const int8_t *input, int32_t plane, const uint8_t *pairs, int count,
                                 const ea_ending *ending, int8_t *line, int32_t start, int32_t end)
{
#if EA_MVE
    ea_vector_ending vector;
    if (end - start >= 4 * EA_LANES && ea_vector_of(ending, &vector)) {
        ea_vector_row(input + start, plane, pairs, pairs + 2 * count, &vector, line + start, end - start);
        return;
    }
#endif
    int32_t p = ea_blocks(input, plane, pairs, count, ending, line, start, end);
    if (p < end && end - start >= EA_EIGHT) /* the last block computes some values again */
        p = ea_blocks(input, plane, pairs, count, ending, line, end - EA_EIGHT, end);
    for (; p < end; p++)
        line[p] = ea_end(ea_walk_one(input + p, plane, pairs, count), ending);
}

/* All pixels of output channel `c`. */
static inline void ea_sparse_channel(const int8_t *input, const uint8_t *pairs, int count, const ea_requant *requant,
                                     int c, int8_t *line, ea_shape out)
{
    const int32_t plane = (int32_t)out.f * out.t, band = plane / requant->bands;
    for (int s = 0; s < requant->bands; s++) {
        const ea_ending ending = ea_ending_of(requant, s * out.c + c);
        ea_sparse_run(input, plane, pairs, count, &ending, line, s * band, (s + 1) * band);
    }
}

#endif
