/* SPDX-License-Identifier: 0BSD OR Apache-2.0 */
/* Window and real transform in 32-bit integers: decimation in frequency by fours, in place, every stage halved. */
#include "ea_frontend.h"

typedef struct {
    int32_t cos;
    int32_t sin;
} ea_turn;

/* (a * b + 2^31) >> 32, and the same added to or taken from a sum: one instruction each where there is DSP. */
static inline int32_t ea_half(int32_t a, int32_t b)
{
#if defined(__ARM_FEATURE_DSP) && __ARM_FEATURE_DSP
    int32_t result;
    __asm__("smmulr %0, %1, %2" : "=r"(result) : "r"(a), "r"(b));
    return result;
#else
    return (int32_t)(((int64_t)a * b + ((int64_t)1 << 31)) >> 32);
#endif
}

static inline int32_t ea_plus_half(int32_t sum, int32_t a, int32_t b)
{
#if defined(__ARM_FEATURE_DSP) && __ARM_FEATURE_DSP
    int32_t result;
    __asm__("smmlar %0, %1, %2, %3" : "=r"(result) : "r"(a), "r"(b), "r"(sum));
    return result;
#else
    return sum + (int32_t)(((int64_t)a * b + ((int64_t)1 << 31)) >> 32);
#endif
}

static inline int32_t ea_less_half(int32_t sum, int32_t a, int32_t b)
{
#if defined(__ARM_FEATURE_DSP) && __ARM_FEATURE_DSP
    int32_t result;
    __asm__("smmlsr %0, %1, %2, %3" : "=r"(result) : "r"(a), "r"(b), "r"(sum));
    return result;
#else
    return sum + (int32_t)((((int64_t)1 << 31) - (int64_t)a * b) >> 32);
#endif
}

/* cos and sin of `index` of 4 * quarter parts of a turn, up to three quarters. */
static ea_turn ea_turn_of(const int32_t *cosine, int quarter, int index)
{
    ea_turn turn;
    if (index < quarter) {
        turn.cos = cosine[index];
        turn.sin = cosine[quarter - index];
    } else if (index < 2 * quarter) {
        turn.cos = -cosine[2 * quarter - index];
        turn.sin = cosine[index - quarter];
    } else {
        turn.cos = -cosine[index - 2 * quarter];
        turn.sin = -cosine[3 * quarter - index];
    }
    return turn;
}

/* Half of (real + i imag)(cos - i sin). */
static inline void ea_put_turned(int32_t *place, int32_t real, int32_t imag, ea_turn turn)
{
    place[0] = ea_plus_half(ea_half(turn.cos, real), turn.sin, imag);
    place[1] = ea_less_half(ea_half(turn.cos, imag), turn.sin, real);
}

/* One stage on blocks of `size` complex values. */
static void ea_radix4(int32_t *data, int half, int size, const int32_t *cosine)
{
    const int step = 2 * half / size, apart = size / 2; /* a quarter of a block, in numbers */
    for (int n = 0; n < size / 4; n++) {
        const ea_turn one = ea_turn_of(cosine, half / 2, n * step), two = ea_turn_of(cosine, half / 2, 2 * n * step),
                      three = ea_turn_of(cosine, half / 2, 3 * n * step);
        for (int32_t *a = data + 2 * n; a < data + 2 * half; a += 2 * size) {
            int32_t *b = a + apart, *c = b + apart, *d = c + apart;
            const int32_t even_r = a[0] + c[0], even_i = a[1] + c[1], left_r = a[0] - c[0], left_i = a[1] - c[1];
            const int32_t odd_r = b[0] + d[0], odd_i = b[1] + d[1], right_r = b[0] - d[0], right_i = b[1] - d[1];
            a[0] = (even_r + odd_r) >> 1;
            a[1] = (even_i + odd_i) >> 1;
            ea_put_turned(b, even_r - odd_r, even_i - odd_i, two);
            ea_put_turned(c, left_r + right_i, left_i - right_r, one);
            ea_put_turned(d, left_r - right_i, left_i + right_r, three);
        }
    }
}

static void ea_radix2(int32_t *data, int half)
{
    for (int32_t *a = data; a < data + 2 * half; a += 4) {
        const int32_t real = a[2], imag = a[3];
        a[2] = a[0] - real;
        a[3] = a[1] - imag;
        a[0] += real;
        a[1] += imag;
    }
}

/* From the spectrum of pairs of samples to that of the samples: bins k and half - k together. */
static void ea_split(int32_t *data, int bits, const int32_t *cosine)
{
    const int half = 1 << bits;
    data[0] += data[1];
    data[1] = 0;
    for (int k = 1; k < half / 2; k++) {
        int32_t *a = data + 2 * ea_bit_reversed((uint32_t)k, bits);
        int32_t *b = data + 2 * ea_bit_reversed((uint32_t)(half - k), bits);
        const int32_t cos = cosine[k], sin = cosine[half / 2 - k];
        const int32_t even_r = (a[0] + b[0]) >> 1, even_i = (a[1] - b[1]) >> 1;
        const int32_t odd_r = a[0] - b[0], odd_i = a[1] + b[1];
        const int32_t part_r = ea_less_half(ea_half(cos, odd_i), sin, odd_r);
        const int32_t part_i = ea_plus_half(ea_half(cos, odd_r), sin, odd_i);
        a[0] = even_r + part_r;
        a[1] = even_i - part_i;
        b[0] = even_r - part_r;
        b[1] = even_i + part_i;
    }
}

/* Samples [count] that begin at place `at` of the frame, windowed. The window is symmetric about win_length / 2. */
static void ea_window_part(const ea_frontend *front, const int16_t *samples, int at, int count, int32_t *result)
{
    const int32_t rounding = (int32_t)1 << front->shift >> 1;
    const int middle = front->win_length / 2, end = at + count;
    int i = at;
    for (; i < end && i <= middle; i++)
        result[i] = (*samples++ * (int32_t)front->window[i] + rounding) >> front->shift;
    for (const uint16_t *falling = front->window + (front->win_length - i); i < end; i++)
        result[i] = (*samples++ * (int32_t)*falling-- + rounding) >> front->shift;
}

void ea_spectrum(const ea_frontend *front, const int16_t *samples, int oldest, int32_t *spectrum)
{
    const int size = 1 << front->log2_fft, half = size / 2, newer = front->win_length - oldest;
    ea_window_part(front, samples + oldest, 0, newer, spectrum);
    ea_window_part(front, samples, newer, oldest, spectrum);
    for (int i = front->win_length; i < size; i++)
        spectrum[i] = 0;
    int block = half;
    for (; block >= 4; block /= 4)
        ea_radix4(spectrum, half, block, front->cosine);
    if (block == 2)
        ea_radix2(spectrum, half);
    ea_split(spectrum, front->log2_fft - 1, front->cosine);
}
