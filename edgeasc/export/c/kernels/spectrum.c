/* SPDX-License-Identifier: 0BSD OR Apache-2.0 */
/* Window and real transform in 32-bit integers: decimation in frequency by fours, in place, every stage but the last
 * halved. Where fours do not go in, a stage by twos comes first. */
#include "ea_frontend.h"

#if EA_FRONTEND_MVE
#include <arm_mve.h>
#endif

typedef struct {
    int32_t real;
    int32_t imag;
} ea_complex;

typedef struct {
    int32_t cos;
    int32_t sin;
} ea_turn;

/* (a * b + 2^31) >> 32, and the same added to or taken from a sum: one instruction each where there is DSP. */
static inline int32_t ea_half(int32_t a, int32_t b)
{
#if EA_FRONTEND_DSP
    int32_t result;
    __asm__("smmulr %0, %1, %2" : "=r"(result) : "r"(a), "r"(b));
    return result;
#else
    return (int32_t)(((int64_t)a * b + ((int64_t)1 << 31)) >> 32);
#endif
}

static inline int32_t ea_plus_half(int32_t sum, int32_t a, int32_t b)
{
#if EA_FRONTEND_DSP
    int32_t result;
    __asm__("smmlar %0, %1, %2, %3" : "=r"(result) : "r"(a), "r"(b), "r"(sum));
    return result;
#else
    return sum + (int32_t)(((int64_t)a * b + ((int64_t)1 << 31)) >> 32);
#endif
}

static inline int32_t ea_less_half(int32_t sum, int32_t a, int32_t b)
{
#if EA_FRONTEND_DSP
    int32_t result;
    __asm__("smmlsr %0, %1, %2, %3" : "=r"(result) : "r"(a), "r"(b), "r"(sum));
    return result;
#else
    return sum + (int32_t)((((int64_t)1 << 31) - (int64_t)a * b) >> 32);
#endif
}

static inline ea_complex ea_load(const ea_complex *place)
{
#if EA_FRONTEND_DSP
    ea_complex value;
    __asm__("ldrd %0, %1, %2" : "=r"(value.real), "=r"(value.imag) : "Q"(*place));
    return value;
#else
    return *place;
#endif
}

static inline void ea_store(ea_complex *place, int32_t real, int32_t imag)
{
#if EA_FRONTEND_DSP
    __asm__("strd %1, %2, %0" : "=Q"(*place) : "r"(real), "r"(imag));
#else
    place->real = real;
    place->imag = imag;
#endif
}

/* cos and sin of `index` of 4 * quarter parts of a turn, up to three quarters. */
static inline ea_turn ea_turn_of(const int32_t *cosine, int quarter, int index)
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
static inline void ea_put_turned(ea_complex *place, int32_t real, int32_t imag, ea_turn turn)
{
    ea_store(place, ea_plus_half(ea_half(turn.cos, real), turn.sin, imag),
             ea_less_half(ea_half(turn.cos, imag), turn.sin, real));
}

/* The first stage of all `half` values, of which those from `filled` on are zero and may hold anything. */
static void ea_radix2(ea_complex *data, int half, int filled, const int32_t *cosine)
{
    const int middle = half / 2, both = filled > middle ? filled - middle : 0;
    for (int n = 0; n < both; n++) {
        ea_complex *a = data + n, *b = a + middle;
        const ea_complex first = ea_load(a), second = ea_load(b);
        ea_store(a, first.real + second.real, first.imag + second.imag);
        ea_put_turned(b, 2 * (first.real - second.real), 2 * (first.imag - second.imag),
                      ea_turn_of(cosine, middle, 2 * n));
    }
    int n = both;
    for (; n < middle / 2; n++) {
        const ea_complex first = ea_load(data + n);
        const ea_turn turn = {cosine[2 * n], cosine[middle - 2 * n]};
        ea_put_turned(data + middle + n, 2 * first.real, 2 * first.imag, turn);
    }
    for (; n < middle; n++) {
        const ea_complex first = ea_load(data + n);
        const ea_turn turn = {-cosine[2 * middle - 2 * n], cosine[2 * n - middle]};
        ea_put_turned(data + middle + n, 2 * first.real, 2 * first.imag, turn);
    }
}

#if EA_FRONTEND_MVE
/* Half of (real + i imag)(cos - i sin), four at once; `less` is minus the sine. */
static inline int32x4x2_t ea_turned4(int32x4_t real, int32x4_t imag, const int32_t *cos, const int32_t *sin,
                                     const int32_t *less)
{
    const int32x4_t c = vldrwq_s32(cos);
    const int32x4x2_t turned = {{vaddq_s32(vrmulhq_s32(c, real), vrmulhq_s32(vldrwq_s32(sin), imag)),
                                 vaddq_s32(vrmulhq_s32(c, imag), vrmulhq_s32(vldrwq_s32(less), real))}};
    return turned;
}

/* Twiddles of four neighbours, `apart` parts of a turn each from the last. Not inlined: gcc 12 makes a mess of it. */
static __attribute__((noinline)) void ea_turns4(const int32_t *cosine, int quarter, int index, int apart, int32_t *cos,
                                                int32_t *sin, int32_t *less)
{
    for (int lane = 0; lane < 4; lane++, index += apart) {
        const ea_turn turn = ea_turn_of(cosine, quarter, index);
        cos[lane] = turn.cos;
        sin[lane] = turn.sin;
        less[lane] = -turn.sin;
    }
}

/* One stage on blocks of `size` values, at least 16: four neighbours at once. */
static void ea_radix4(ea_complex *data, int half, int size, const int32_t *cosine)
{
    const int blocks = half / size, step = 2 * blocks, apart = size / 4;
    for (int n = 0; n < apart; n += 4) {
        int32_t cos[3][4], sin[3][4], less[3][4];
        for (int i = 0; i < 3; i++)
            ea_turns4(cosine, half / 2, (i + 1) * n * step, (i + 1) * step, cos[i], sin[i], less[i]);
        int32_t *a = &data[n].real, *b = a + 2 * apart, *c = b + 2 * apart, *d = c + 2 * apart;
        for (int left = blocks; left > 0; left--, a += 2 * size, b += 2 * size, c += 2 * size, d += 2 * size) {
            const int32x4x2_t p = vld2q_s32(a), r = vld2q_s32(c), q = vld2q_s32(b), s = vld2q_s32(d);
            const int32x4_t even_r = vaddq_s32(p.val[0], r.val[0]), even_i = vaddq_s32(p.val[1], r.val[1]);
            const int32x4_t left_r = vsubq_s32(p.val[0], r.val[0]), left_i = vsubq_s32(p.val[1], r.val[1]);
            const int32x4_t odd_r = vaddq_s32(q.val[0], s.val[0]), odd_i = vaddq_s32(q.val[1], s.val[1]);
            const int32x4_t right_r = vsubq_s32(q.val[0], s.val[0]), right_i = vsubq_s32(q.val[1], s.val[1]);
            const int32x4x2_t sum = {
                {vshrq_n_s32(vaddq_s32(even_r, odd_r), 1), vshrq_n_s32(vaddq_s32(even_i, odd_i), 1)}};
            vst2q_s32(a, sum);
            vst2q_s32(b, ea_turned4(vsubq_s32(even_r, odd_r), vsubq_s32(even_i, odd_i), cos[1], sin[1], less[1]));
            vst2q_s32(c, ea_turned4(vaddq_s32(left_r, right_i), vsubq_s32(left_i, right_r), cos[0], sin[0], less[0]));
            vst2q_s32(d, ea_turned4(vsubq_s32(left_r, right_i), vaddq_s32(left_i, right_r), cos[2], sin[2], less[2]));
            /* Or gcc 12 adds the step in the store itself, which the instruction cannot. */
            __asm__("" : "+r"(a), "+r"(b), "+r"(c), "+r"(d));
        }
    }
}
#else
/* From a place with a constant offset, as on the stack. */
static inline ea_turn ea_load_turn(const ea_turn *place)
{
#if EA_FRONTEND_DSP
    ea_turn turn;
    __asm__("ldrd %0, %1, %2" : "=r"(turn.cos), "=r"(turn.sin) : "m"(*place));
    return turn;
#else
    return *place;
#endif
}

/* One stage on blocks of `size` values. */
static void ea_radix4(ea_complex *data, int half, int size, const int32_t *cosine)
{
    const int blocks = half / size, step = 2 * blocks, apart = size / 4;
    for (int n = 0; n < apart; n++) {
        /* Kept in memory: the sums alone take every register that there is. */
        ea_turn turns[3];
        for (int i = 0; i < 3; i++)
            turns[i] = ea_turn_of(cosine, half / 2, (i + 1) * n * step);
        ea_complex *a = data + n, *b = a + apart, *c = b + apart, *d = c + apart;
        for (int left = blocks; left > 0; left--, a += size, b += size, c += size, d += size) {
            const ea_complex p = ea_load(a), r = ea_load(c);
            const int32_t even_r = p.real + r.real, even_i = p.imag + r.imag;
            const int32_t left_r = p.real - r.real, left_i = p.imag - r.imag;
            const ea_complex q = ea_load(b), s = ea_load(d);
            const int32_t odd_r = q.real + s.real, odd_i = q.imag + s.imag;
            const int32_t right_r = q.real - s.real, right_i = q.imag - s.imag;
            ea_store(a, (even_r + odd_r) >> 1, (even_i + odd_i) >> 1);
            ea_put_turned(b, even_r - odd_r, even_i - odd_i, ea_load_turn(&turns[1]));
            ea_put_turned(c, left_r + right_i, left_i - right_r, ea_load_turn(&turns[0]));
            ea_put_turned(d, left_r - right_i, left_i + right_r, ea_load_turn(&turns[2]));
        }
    }
}

#endif

/* The last stage, on blocks of four: no twiddles, and not halved. */
static void ea_last(ea_complex *data, int half)
{
    for (ea_complex *a = data; a < data + half; a += 4) {
        const ea_complex p = ea_load(a), q = ea_load(a + 1), r = ea_load(a + 2), s = ea_load(a + 3);
        const int32_t even_r = p.real + r.real, even_i = p.imag + r.imag;
        const int32_t left_r = p.real - r.real, left_i = p.imag - r.imag;
        const int32_t odd_r = q.real + s.real, odd_i = q.imag + s.imag;
        const int32_t right_r = q.real - s.real, right_i = q.imag - s.imag;
        ea_store(a, even_r + odd_r, even_i + odd_i);
        ea_store(a + 1, even_r - odd_r, even_i - odd_i);
        ea_store(a + 2, left_r + right_i, left_i - right_r);
        ea_store(a + 3, left_r - right_i, left_i + right_r);
    }
}

/* From the spectrum of pairs of samples to that of the samples: bins k and half - k together. */
static void ea_split(ea_complex *data, int bits, const int32_t *cosine)
{
    const int half = 1 << bits;
    const int32_t *sine = cosine + half / 2;
    data->real += data->imag;
    data->imag = 0;
    const uint32_t step = ea_bin_step(bits);
    uint32_t bin = step;
    for (int left = half / 2 - 1; left > 0; left--, bin += step) {
        ea_complex *a = data + ea_bin_place(bin), *b = data + ea_bin_place(0 - bin); /* of half - k */
        const int32_t cos = *++cosine, sin = *--sine;
        const ea_complex p = ea_load(a), q = ea_load(b);
        const int32_t even_r = (p.real + q.real) >> 1, even_i = (p.imag - q.imag) >> 1;
        const int32_t odd_r = p.real - q.real, odd_i = p.imag + q.imag;
        const int32_t part_r = ea_less_half(ea_half(cos, odd_i), sin, odd_r);
        const int32_t part_i = ea_plus_half(ea_half(cos, odd_r), sin, odd_i);
        ea_store(a, even_r + part_r, even_i - part_i);
        ea_store(b, even_r - part_r, even_i + part_i);
    }
}

/* Samples [count] that begin at place `at` of the frame, windowed. The window is symmetric about win_length / 2. */
static void ea_window_part(const ea_frontend *front, const int16_t *samples, int at, int count, int32_t *result)
{
    const int shift = front->shift, middle = front->win_length / 2 + 1, end = at + count;
    const int32_t rounding = (int32_t)1 << shift >> 1;
    const int turn = at > middle ? at : end < middle ? end : middle;
    const uint16_t *window = front->window + at;
    int32_t *place = result + at;
    for (const int16_t *last = samples + (turn - at); samples < last;)
        *place++ = (*samples++ * (int32_t)*window++ + rounding) >> shift;
    window = front->window + (front->win_length - turn);
    for (const int16_t *last = samples + (end - turn); samples < last;)
        *place++ = (*samples++ * (int32_t)*window-- + rounding) >> shift;
}

void ea_spectrum(const ea_frontend *front, const int16_t *samples, int oldest, int32_t *spectrum)
{
    const int size = 1 << front->log2_fft, half = size / 2, newer = front->win_length - oldest;
    const int by_twos = front->log2_fft % 2 == 0, filled = (front->win_length + 1) / 2;
    ea_complex *data = (ea_complex *)spectrum;
    ea_window_part(front, samples + oldest, 0, newer, spectrum);
    ea_window_part(front, samples, newer, oldest, spectrum);
    /* The stage by twos knows what is empty behind the middle. */
    for (int i = front->win_length; i < (by_twos ? filled > half / 2 ? 2 * filled : half : size); i++)
        spectrum[i] = 0;
    if (by_twos)
        ea_radix2(data, half, filled, front->cosine);
    for (int block = by_twos ? half / 2 : half; block > 4; block /= 4)
        ea_radix4(data, half, block, front->cosine);
    ea_last(data, half);
    ea_split(data, front->log2_fft - 1, front->cosine);
}
