/* SPDX-License-Identifier: 0BSD OR Apache-2.0 */
/* The integer front end of edgeasc: 16-bit samples to log-mel levels to int8, one frame at a time.
 *
 * A level is ln(mel power + floor) * 2^10, where full scale is 1. Nothing overflows, whatever the samples are: the
 * generator has chosen `shift` by the window's sums. */
#ifndef EA_FRONTEND_H
#define EA_FRONTEND_H

#include <stdint.h>

#if defined(__ARM_FEATURE_DSP) && __ARM_FEATURE_DSP && !defined(EA_PLAIN)
#define EA_FRONTEND_DSP 1
#else
#define EA_FRONTEND_DSP 0
#endif

#if defined(__ARM_FEATURE_MVE) && !defined(EA_PLAIN)
#define EA_FRONTEND_MVE 1
#else
#define EA_FRONTEND_MVE 0
#endif

/* Constants of one front end. `window` holds the rising half of the window times 2^16, `cosine` a quarter of a cosine
 * times 2^31 - 1, `logarithm` ln(1 + i / 64) times 2^24; `bins`, `slope` and `lean` have one value more than there are
 * mels: segments between the corners of the filters. */
typedef struct {
    int log2_fft;
    int win_length;
    int shift;
    int mels;
    int first_bin;
    int floor_shift;
    const uint16_t *window;
    const int32_t *cosine;
    const uint16_t *bins;
    const uint32_t *slope;
    const uint32_t *lean;
    const uint32_t *floor;
    const int32_t *offset;
    const int32_t *logarithm;
} ea_frontend;

/* Windows `win_length` samples, which lie in the ring `samples` from the place `oldest` on, and transforms them. After
 * it `spectrum` [2^log2_fft] holds bins 0 to half the transform, real and imaginary part, in bit-reversed order. */
void ea_spectrum(const ea_frontend *front, const int16_t *samples, int oldest, int32_t *spectrum);

/* Levels [mels] of a spectrum. */
void ea_mel_levels(const ea_frontend *front, const int32_t *spectrum, int16_t *levels);

/* The integer of a level: how many of the 255 rising thresholds it reaches, less 128. */
int8_t ea_level_to_int8(int16_t level, const int16_t *thresholds);

/* Index of the first of the largest. */
int ea_argmax(const int8_t *values, int count);

static inline uint32_t ea_reversed(uint32_t word)
{
#if EA_FRONTEND_DSP
    uint32_t result;
    __asm__("rbit %0, %1" : "=r"(result) : "r"(word));
    return result;
#else
    word = (word & 0x55555555u) << 1 | (word >> 1 & 0x55555555u);
    word = (word & 0x33333333u) << 2 | (word >> 2 & 0x33333333u);
    word = (word & 0x0F0F0F0Fu) << 4 | (word >> 4 & 0x0F0F0F0Fu);
    word = (word & 0x00FF00FFu) << 8 | (word >> 8 & 0x00FF00FFu);
    return word << 16 | word >> 16;
#endif
}

/* 2^bits bins lie in bit-reversed order: bin k is the ea_bin_place(k * ea_bin_step(bits))-th. */
static inline uint32_t ea_bin_step(int bits)
{
    return (uint32_t)1 << (32 - bits);
}

static inline uint32_t ea_bin_place(uint32_t steps)
{
    return ea_reversed(steps);
}

#endif
