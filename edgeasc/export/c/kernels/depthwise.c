/* SPDX-License-Identifier: 0BSD OR Apache-2.0 */
/* Depth-wise convolution. A few rows of one channel are copied with their padding, so that every tap of every pixel
 * lies inside; taps of weight zero are left out. */
#include "ea_kernels.h"
#include "ea_mve.h"

#if EA_DSP
#define EA_BARRIER(value) __asm__ volatile("" : "+r"(value))
#else
#define EA_BARRIER(value) (void)(value)
#endif

enum { MOST_TAPS = 32, COPY_BYTES = 2560, BLOCK = 4 };

/* Taps of one channel: where they lie from the first, and what they weigh. */
typedef struct {
    int32_t offset[MOST_TAPS];
    int32_t weight[MOST_TAPS];
    int count;
    int32_t sum;
} ea_taps;

EA_APART static void ea_gather(ea_taps *taps, const int8_t *weights, ea_window w, int32_t pitch)
{
    taps->count = 0;
    taps->sum = 0;
    taps->offset[0] = 0;
    taps->weight[0] = 0;
    for (int i = 0; i < w.kernel_f; i++)
        for (int j = 0; j < w.kernel_t; j++, weights++)
            if (*weights != 0) {
                taps->offset[taps->count] = i * w.dilation_f * pitch + j * w.dilation_t;
                taps->weight[taps->count++] = *weights;
                taps->sum += *weights;
            }
    if (taps->count < 2) { /* two are read */
        taps->offset[1] = taps->offset[0];
        taps->weight[1] = 0;
    }
}

EA_APART static void ea_fill(int8_t *to, int8_t value, int count)
{
    for (; count > 0; count--) {
        *to++ = value;
        EA_BARRIER(value);
    }
}

/* Words at a time where that can be. The barriers keep compilers from calling a library, which has its own price. */
EA_APART static void ea_copy_row(int8_t *to, const int8_t *from, int32_t count)
{
#if EA_MVE
    for (; count > 0; count -= EA_CHUNK, to += EA_CHUNK, from += EA_CHUNK)
        vstrbq_p_s8(to, vldrbq_z_s8(from, vctp8q((uint32_t)count)), vctp8q((uint32_t)count));
    return;
#endif
#if EA_DSP
    for (; count >= BLOCK; count -= BLOCK, to += BLOCK, from += BLOCK) {
        uint32_t word = ea_load4(from);
        EA_BARRIER(word);
        __builtin_memcpy(to, &word, sizeof word);
    }
#endif
    for (; count > 0; count--)
        *to++ = *from++;
}

/* `rows` rows from `row` on, `pitch` columns from -pad_t on. */
EA_APART static void ea_pad(int8_t *padded, const int8_t *plane, ea_shape in, int row, int rows, int pitch, int pad_t, int8_t zero)
{
    const int before = pad_t < pitch ? pad_t : pitch;
    const int inside = in.t < pitch - before ? in.t : pitch - before, after = pitch - before - inside;
    if (before == 0 && after == 0 && inside == in.t) { /* rows inside follow each other */
        const int above = row < 0 ? (-row < rows ? -row : rows) : 0;
        const int last = row + rows < in.f ? row + rows : in.f, kept = last > row + above ? last - row - above : 0;
        ea_fill(padded, zero, above * pitch);
        ea_copy_row(padded + above * pitch, plane + (int32_t)(row + above) * in.t, (int32_t)kept * in.t);
        ea_fill(padded + (above + kept) * pitch, zero, (rows - above - kept) * pitch);
        return;
    }
    for (int end = row + rows; row < end; row++, padded += pitch) {
        if (row < 0 || row >= in.f) {
            ea_fill(padded, zero, pitch);
            continue;
        }
        ea_fill(padded, zero, before);
        ea_copy_row(padded + before, plane + (int32_t)row * in.t, inside);
        ea_fill(padded + before + inside, zero, after);
    }
}

EA_RARE static void ea_plain_run(const int8_t *x, const ea_taps *taps, int stride, const ea_ending *e, int8_t *output,
                         int32_t count)
{
    for (; count > 0; count--, x += stride) {
        int32_t sum = e->bias;
        for (int k = 0; k < taps->count; k++)
            sum += taps->weight[k] * x[taps->offset[k]];
        *output++ = ea_finish(sum, e->multiplier, e->shift, e->zero_point, e->low);
    }
}

#if EA_DSP
/* What a run of pixels of two or three taps is made with, in the order in which it is loaded. Weights and start are
 * doubled; `weights` has the second tap's in its top half. */
typedef struct {
    int32_t to_second, to_third; /* from the first */
    uint32_t weights;
    int32_t third;
    int32_t start;
    ea_quick quick;
} ea_few;

/* Values from x to the four at `last`, which may be computed a second time. */
#ifndef EA_DSP_IN_C
#if EA_ROUNDING == 2
#define EA_END(sum, place) "add r11, r8, " sum ", asr #31\nsmmlar " sum ", " sum ", r7, r11\n" EA_STORE(sum, place)
#else
#define EA_END(sum, place) "smmla " sum ", " sum ", r7, r8\n" EA_STORE(sum, place)
#endif
#define EA_STORE(sum, place) "asr " sum ", " sum ", r9\nssat " sum ", #8, " sum "\nstrb " sum ", [r3], " place "\n"
#define EA_TWO(widen, next)                                                                                            \
    "ldr r11, [r0, r1]\n"                                                                                              \
    "ldr r10, [r0]" next "\n"                                                                                          \
    "sxtb16 r11, r11" widen "\n"                                                                                       \
    "sxtb16 r10, r10" widen "\n"                                                                                       \
    "smlabb lr, r10, r4, r6\n"                                                                                         \
    "smlabt lr, r11, r4, lr\n"                                                                                         \
    "smlatb r10, r10, r4, r6\n"                                                                                        \
    "smlatt r10, r11, r4, r10\n"
#define EA_THIRD                                                                                                       \
    "smlabb lr, r12, r5, lr\n"                                                                                         \
    "smlatb r10, r12, r5, r10\n"
#define EA_RUN(name, even, odd)                                                                                        \
    static __attribute__((naked, noinline)) void name(                                                                 \
        const int8_t *x __attribute__((unused)), const ea_few *k __attribute__((unused)),                              \
        int8_t *output __attribute__((unused)), const int8_t *last __attribute__((unused)))                            \
    {                                                                                                                  \
        __asm__ volatile("push {r3-r11, lr}\n"                                                                         \
                         "mov r12, r1\n"                                                                               \
                         "mov r3, r2\n"                                                                                \
                         "ldmia r12, {r1, r2, r4-r9}\n"                                                                \
                         "1:\n" even EA_END("lr", "#2") EA_END("r10", "#-1") odd EA_END("lr", "#2")                    \
                             EA_END("r10", "#1") "ldr lr, [sp]\n"                                                      \
                         "cmp r0, lr\n"                                                                                \
                         "bls 1b\n"                                                                                    \
                         "sub r10, r0, lr\n"                                                                           \
                         "cmp r10, #4\n"                                                                               \
                         "itt ne\n"                                                                                    \
                         "subne r3, r3, r10\n"                                                                         \
                         "movne r0, lr\n"                                                                              \
                         "bne 1b\n"                                                                                    \
                         "pop {r3-r11, pc}\n");                                                                        \
    }
#define EA_READ_THIRD(widen) "ldr r12, [r0, r2]\nsxtb16 r12, r12" widen "\n"
EA_RUN(ea_two_taps, EA_TWO("", ""), EA_TWO(", ror #8", ", #4"))
EA_RUN(ea_three_taps, EA_READ_THIRD("") EA_TWO("", "") EA_THIRD,
       EA_READ_THIRD(", ror #8") EA_TWO(", ror #8", ", #4") EA_THIRD)
#else
static void ea_three_taps(const int8_t *x, const ea_few *k, int8_t *output, const int8_t *last)
{
    for (; x <= last + 3; x++) {
        const int32_t sum = k->start + *x * ea_low(k->weights) + x[k->to_second] * ea_top(k->weights);
        *output++ = ea_quick_end(sum + x[k->to_third] * k->third, k->quick);
    }
}

static void ea_two_taps(const int8_t *x, const ea_few *k, int8_t *output, const int8_t *last)
{
    for (; x <= last + 3; x++)
        *output++ = ea_quick_end(k->start + *x * ea_low(k->weights) + x[k->to_second] * ea_top(k->weights), k->quick);
}
#endif

static inline int8_t *ea_end_pair(int32_t low, int32_t top, ea_quick q, int8_t *output)
{
    output[0] = ea_quick_end(low, q);
    output[2] = ea_quick_end(top, q);
    return output + 1;
}

EA_APART static void ea_many_taps(const int8_t *x, const ea_taps *taps, int32_t twice, const ea_few *k, int8_t *output,
                                  int32_t count)
{
    for (int32_t p = 0; p < count; p += BLOCK) {
        p = p + BLOCK > count ? count - BLOCK : p;
        int32_t s0 = k->start, s1 = s0, s2 = s0, s3 = s0;
        for (int i = 0; i < taps->count; i++) {
            const uint32_t word = ea_load4(x + taps->offset[i] + p), weight = (uint32_t)(twice * taps->weight[i]);
            s0 = ea_low_by_low(ea_even(word), weight, s0);
            s1 = ea_low_by_low(ea_odd(word), weight, s1);
            s2 = ea_top_by_low(ea_even(word), weight, s2);
            s3 = ea_top_by_low(ea_odd(word), weight, s3);
        }
        ea_end_pair(s1, s3, k->quick, ea_end_pair(s0, s2, k->quick, output + p));
    }
}

/* Whether the run could be done so. A multiplier's minus sign is as good in the weights. */
static inline int ea_fast_run(const int8_t *x, const ea_taps *taps, const ea_ending *e, int8_t *output, int32_t count)
{
    ea_few k;
    const int32_t twice = e->multiplier < 0 ? -2 : 2;
    ea_ending positive = *e;
    positive.multiplier = e->multiplier < 0 ? -e->multiplier : e->multiplier;
    if (count < BLOCK || !ea_quick_of(&positive, &k.quick))
        return 0;
    k.start = twice * e->bias;
    if (taps->count > 3) {
        ea_many_taps(x, taps, twice, &k, output, count);
        return 1;
    }
    k.to_second = taps->offset[1] - taps->offset[0];
    k.weights = ea_halves(twice * taps->weight[0], twice * taps->weight[1]);
    x += taps->offset[0];
    if (taps->count == 3) {
        k.to_third = taps->offset[2] - taps->offset[0];
        k.third = twice * taps->weight[2];
        ea_three_taps(x, &k, output, x + count - BLOCK);
    } else {
        ea_two_taps(x, &k, output, x + count - BLOCK);
    }
    return 1;
}
#endif

#if EA_MVE
/* Eight pixels at once, at least eight in all. */
EA_APART static void ea_vector_run(const int8_t *x, const ea_taps *taps, const ea_vector_ending *v, int8_t *output,
                                   int32_t count)
{
    for (int32_t p = 0; p < count; p += 2 * EA_LANES) {
        p = p + 2 * EA_LANES > count ? count - 2 * EA_LANES : p; /* the last block computes some values again */
        int32x4_t a = vdupq_n_s32(v->bias), b = a;
        for (int i = 0; i < taps->count; i++) {
            const int8_t *tap = x + p + taps->offset[i];
            a = vmlaq_n_s32(a, vldrbq_s32(tap), taps->weight[i]);
            b = vmlaq_n_s32(b, vldrbq_s32(tap + EA_LANES), taps->weight[i]);
        }
        vstrbq_s32(output + p, ea_vector_end(a, v));
        vstrbq_s32(output + p + EA_LANES, ea_vector_end(b, v));
    }
}

/* The same for three taps. */
EA_APART static void ea_vector_three(const int8_t *x, const ea_taps *taps, const ea_vector_ending *v, int8_t *output,
                                     int32_t count)
{
    const int8_t *const first = x + taps->offset[0], *const second = x + taps->offset[1];
    const int8_t *const third = x + taps->offset[2];
    const int32_t w0 = taps->weight[0], w1 = taps->weight[1], w2 = taps->weight[2];
    const ea_vector_ending ending = *v;
    for (int32_t p = 0; p < count; p += 2 * EA_LANES) {
        p = p + 2 * EA_LANES > count ? count - 2 * EA_LANES : p;
        int32x4_t a = vdupq_n_s32(ending.bias), b = a;
        a = vmlaq_n_s32(a, vldrbq_s32(first + p), w0);
        b = vmlaq_n_s32(b, vldrbq_s32(first + p + EA_LANES), w0);
        a = vmlaq_n_s32(a, vldrbq_s32(second + p), w1);
        b = vmlaq_n_s32(b, vldrbq_s32(second + p + EA_LANES), w1);
        a = vmlaq_n_s32(a, vldrbq_s32(third + p), w2);
        b = vmlaq_n_s32(b, vldrbq_s32(third + p + EA_LANES), w2);
        vstrbq_s32(output + p, ea_vector_end(a, &ending));
        vstrbq_s32(output + p + EA_LANES, ea_vector_end(b, &ending));
    }
}
#endif

/* A run of output values whose inputs lie `stride` apart. */
static inline void ea_run(const int8_t *x, const ea_taps *taps, int stride, const ea_ending *e, int8_t *output,
                          int32_t count)
{
    if (e->multiplier == 0) {
        ea_constant(e, output, count);
        return;
    }
#if EA_MVE
    ea_vector_ending vector;
    if (stride == 1 && count >= 2 * EA_LANES && ea_vector_of(e, &vector)) {
        if (taps->count == 3)
            ea_vector_three(x, taps, &vector, output, count);
        else
            ea_vector_run(x, taps, &vector, output, count);
        return;
    }
#endif
#if EA_DSP
    if (stride == 1 && ea_fast_run(x, taps, e, output, count))
        return;
#endif
    ea_plain_run(x, taps, stride, e, output, count);
}

/* One channel whose rows are too long to copy. */
EA_RARE static void ea_uncopied(const int8_t *plane, ea_shape in, int32_t zero, const int8_t *weights, ea_window w,
                        const ea_requant *requant, int c, int8_t *output, ea_shape out)
{
    for (int f = 0; f < out.f; f++) {
        const ea_ending e = ea_ending_of(requant, f / (out.f / requant->bands) * out.c + c);
        for (int t = 0; t < out.t; t++) {
            int32_t sum = e.bias;
            for (int i = 0; i < w.kernel_f; i++)
                for (int j = 0; j < w.kernel_t; j++) {
                    const int row = f * w.stride_f - w.pad_f + i * w.dilation_f;
                    const int column = t * w.stride_t - w.pad_t + j * w.dilation_t;
                    if (row >= 0 && row < in.f && column >= 0 && column < in.t)
                        sum += weights[i * w.kernel_t + j] * (plane[(int32_t)row * in.t + column] - zero);
                }
            *output++ = ea_finish(sum, e.multiplier, e.shift, e.zero_point, e.low);
        }
    }
}

/* Output rows from `first` to `end` of one channel, from their padded inputs. */
static void ea_rows(const int8_t *padded, int32_t pitch, const ea_taps *taps, ea_window w, int32_t zero,
                    const ea_requant *requant, int c, int8_t *output, ea_shape out, int first, int end)
{
    const int band_rows = out.f / requant->bands, joined = w.stride_f == 1 && w.stride_t == 1 && pitch == out.t;
    for (int f = first; f < end;) {
        const int band = f / band_rows, last = (band + 1) * band_rows < end ? (band + 1) * band_rows : end;
        ea_ending e = ea_ending_of(requant, band * out.c + c);
        e.bias -= taps->sum * zero;
        for (; f < last; f += joined ? last - f : 1)
            ea_run(padded + (int32_t)(f - first) * w.stride_f * pitch, taps, w.stride_t, &e, output + (int32_t)f * out.t,
                   joined ? (int32_t)(last - f) * out.t : out.t);
    }
}

void ea_depthwise(const int8_t *input, ea_shape in, int32_t input_zero_point, const int8_t *weights, ea_window window,
                  const ea_requant *requant, int8_t *output, ea_shape out)
{
    const int size = window.kernel_f * window.kernel_t, reach_f = (window.kernel_f - 1) * window.dilation_f + 1;
    const int pitch = (out.t - 1) * window.stride_t + (window.kernel_t - 1) * window.dilation_t + 1;
    const int fit = pitch <= COPY_BYTES ? COPY_BYTES / pitch : 0;
    const int most = fit < reach_f ? 0 : (fit - reach_f) / window.stride_f + 1, step = most < out.f ? most : out.f;
    int8_t padded[step > 0 ? ((step - 1) * window.stride_f + reach_f) * pitch : 1];
    for (int c = 0; c < out.c; c++, weights += size) {
        const int8_t *plane = input + (int32_t)c * in.f * in.t;
        int8_t *result = output + (int32_t)c * out.f * out.t;
        if (step == 0) {
            ea_uncopied(plane, in, input_zero_point, weights, window, requant, c, result, out);
            continue;
        }
        ea_taps taps;
        ea_gather(&taps, weights, window, pitch);
        for (int f = 0; f < out.f; f += step) {
            const int end = f + step < out.f ? f + step : out.f;
            ea_pad(padded, plane, in, f * window.stride_f - window.pad_f, (end - f - 1) * window.stride_f + reach_f, pitch,
                   window.pad_t, (int8_t)input_zero_point);
            ea_rows(padded, pitch, &taps, window, input_zero_point, requant, c, result, out, f, end);
        }
    }
}
