/* SPDX-License-Identifier: 0BSD OR Apache-2.0 */
/* Integer kernels of edgeasc. Tensors are planar, [channel][frequency][time], one byte per value.
 *
 * Requantisation is `accumulator * multiplier * 2^(shift - 31)`, rounded as EA_ROUNDING says: 2, twice, as TensorFlow
 * Lite's reference kernels do; 1, once, half up. Right shifts of negative numbers must be arithmetic, as they are in
 * every compiler for the supported targets; the build stops where they are not. */
#ifndef EA_KERNELS_H
#define EA_KERNELS_H

#include <stdint.h>

#include "ea_dsp.h"

#ifndef EA_ROUNDING
#error "define EA_ROUNDING as 1 or 2: the model's Makefile does"
#endif

/* A function that stays one, so that its loop has the registers to itself. */
#if defined(__GNUC__)
#define EA_APART __attribute__((noinline))
#else
#define EA_APART
#endif

/* A function that only unusual layers reach on a core with DSP instructions: short rather than fast there. */
#if EA_DSP && defined(__GNUC__)
#define EA_RARE __attribute__((noinline, cold))
#else
#define EA_RARE
#endif

typedef char ea_right_shifts_are_arithmetic[(-1 >> 1) == -1 ? 1 : -1];

/* Requantisation of one layer: arrays over [band][output channel], read through ea_ending_of alone.
 *
 * `bias` is int16 or int32, as `bias_bytes` says. A word of `scale` is, from its lowest bit, `code_bits` of code and the
 * multiplier behind its leading one; the code is a sign where `is_signed`, above a shift that is never 0 and counts from
 * `first_shift`. The word 0 is a constant, as far above the zero point as the bias says. Where `code_bits` is 0 there
 * are two words instead, multiplier and shift. */
typedef struct {
    const void *bias;
    const uint32_t *scale;
    int8_t bias_bytes;
    int8_t code_bits;
    int8_t is_signed;
    int8_t first_shift;
    int16_t bands;
    int16_t output_zero_point;
    int16_t low;
} ea_requant;

/* What makes an output value of a sum. */
typedef struct {
    int32_t bias;
    int32_t multiplier;
    int shift;
    int32_t zero_point;
    int32_t low;
} ea_ending;

/* One requantisation for a whole tensor. */
typedef struct {
    int32_t multiplier;
    int shift;
    int32_t output_zero_point;
    int32_t low;
} ea_scale;

/* Channels, frequencies and frames of a tensor. */
typedef struct {
    int c;
    int f;
    int t;
} ea_shape;

/* Kernel, stride, dilation and padding before, each along frequency and time. */
typedef struct {
    int kernel_f, kernel_t;
    int stride_f, stride_t;
    int dilation_f, dilation_t;
    int pad_f, pad_t;
} ea_window;

/* (value * multiplier + 2^30) >> 31 for |value| < 2^30. */
static inline int32_t ea_high(int32_t value, int32_t multiplier)
{
#if defined(__ARM_FEATURE_DSP) && __ARM_FEATURE_DSP
    int32_t result;
    __asm__("smmulr %0, %1, %2" : "=r"(result) : "r"(value * 2), "r"(multiplier));
    return result;
#else
    return (int32_t)(((int64_t)value * multiplier + ((int64_t)1 << 30)) >> 31);
#endif
}

/* Needs |value| < 2^30 where the shift is not to the left, as the generator has checked. */
static inline int32_t ea_rescale(int32_t value, int32_t multiplier, int shift)
{
#if EA_ROUNDING == 2
    if (shift > 0)
        return (int32_t)(((int64_t)(value * ((int32_t)1 << shift)) * multiplier + ((int64_t)1 << 30)) >> 31);
    const int32_t high = ea_high(value, multiplier);
    return shift == 0 ? high : (high + (high >> 31) + ((int32_t)1 << (-shift - 1))) >> -shift;
#else
    const int total = 31 - shift;
    return (int32_t)(((int64_t)value * multiplier + ((int64_t)1 << (total - 1))) >> total);
#endif
}

/* `value` limited to [low, 127] for a low that is no smaller than -128. */
static inline int8_t ea_clamp(int32_t value, int32_t low)
{
#if defined(__ARM_FEATURE_SAT) && __ARM_FEATURE_SAT
    __asm__("ssat %0, #8, %1" : "=r"(value) : "r"(value));
    if (low == INT8_MIN)
        return (int8_t)value;
#else
    value = value > INT8_MAX ? INT8_MAX : value;
#endif
    return (int8_t)(value < low ? low : value);
}

static inline int8_t ea_finish(int32_t accumulator, int32_t multiplier, int shift, int32_t zero_point, int32_t low)
{
    return ea_clamp(ea_rescale(accumulator, multiplier, shift) + zero_point, low);
}

/* The ending of one (band, channel). */
static inline ea_ending ea_ending_of(const ea_requant *r, int32_t entry)
{
    ea_ending e = {0, 0, 0, r->output_zero_point, r->low};
    const int32_t bias =
        r->bias_bytes == 2 ? ((const int16_t *)r->bias)[entry] : ((const int32_t *)r->bias)[entry];
    if (r->code_bits == 0) {
        e.multiplier = (int32_t)r->scale[2 * entry];
        e.shift = (int)(int32_t)r->scale[2 * entry + 1];
    } else if (r->scale[entry] != 0) {
        const uint32_t word = r->scale[entry], code = word & (((uint32_t)1 << r->code_bits) - 1);
        const uint32_t sign = r->is_signed ? code >> (r->code_bits - 1) : 0;
        e.multiplier = (int32_t)(((uint32_t)1 << 30) + ((word - code) >> 2));
        e.multiplier = sign ? -e.multiplier : e.multiplier;
        e.shift = r->first_shift + (int)(code - (sign << (r->code_bits - 1)));
    }
    if (e.multiplier == 0)
        e.zero_point += bias;
    else
        e.bias = bias;
    return e;
}

/* Values that no input changes: the multiplier is 0. */
static inline void ea_constant(const ea_ending *e, int8_t *output, int32_t count)
{
    const int8_t value = ea_clamp(e->zero_point, e->low);
    for (; count > 0; count--)
        *output++ = value;
}

static inline int8_t ea_end(int32_t sum, const ea_ending *e)
{
    return ea_finish(sum + e->bias, e->multiplier, e->shift, e->zero_point, e->low);
}

#if EA_DSP
/* The common ending in five instructions: twice the accumulator, its bias in it, comes in. Half a unit and the zero point
 * are one addend, put in before the shift. */
typedef struct {
    int32_t multiplier;
    int32_t addend;
    int shift; /* to the right, at least 1 */
} ea_quick;

/* Whether `e` can be written so. */
static inline int ea_quick_of(const ea_ending *e, ea_quick *q)
{
    if (e->multiplier <= 0 || e->shift > -1 || e->shift < -21 || e->low > INT8_MIN)
        return 0;
    *q = (ea_quick){e->multiplier, ((int32_t)1 << (-e->shift - 1)) + e->zero_point * ((int32_t)1 << -e->shift), -e->shift};
    return 1;
}

static inline int8_t ea_quick_end(int32_t doubled, ea_quick q)
{
#if EA_ROUNDING == 2
    /* Half away from zero: one less for negative numbers, which changes nothing where the product rounds to zero. */
    const int32_t sum = ea_high_sum_rounded(doubled, q.multiplier, q.addend + (doubled >> 31));
#else
    const int32_t sum = ea_high_sum(doubled, q.multiplier, q.addend);
#endif
    return ea_clamp(sum >> q.shift, INT8_MIN);
}
#endif

/* Output columns whose taps all lie inside the input. */
typedef struct {
    int first;
    int end;
} ea_span;

static inline ea_span ea_inner(ea_window w, int frames, int columns)
{
    ea_span span;
    const int last = frames - 1 + w.pad_t - (w.kernel_t - 1) * w.dilation_t; /* largest start of a whole window */
    span.first = (w.pad_t + w.stride_t - 1) / w.stride_t;
    span.end = last < 0 ? 0 : last / w.stride_t + 1;
    if (span.end > columns)
        span.end = columns;
    if (span.first > span.end)
        span.first = span.end;
    return span;
}

/* Weights [c_out][c_in][kernel_f][kernel_t]. */
void ea_conv(const int8_t *input, ea_shape in, int32_t input_zero_point, const int8_t *weights, ea_window window,
             const ea_requant *requant, int8_t *output, ea_shape out);

/* Weights as rows of pairs, the bias with the input's zero point in it: see conv_delta8.c. At most 256 a channel. */
void ea_conv_delta8(const int8_t *input, ea_shape in, int32_t input_zero_point, const uint8_t *stream, ea_window window,
                    const ea_requant *requant, int8_t *output, ea_shape out);

/* Depth-wise: weights [c][kernel_f][kernel_t]. */
void ea_depthwise(const int8_t *input, ea_shape in, int32_t input_zero_point, const int8_t *weights, ea_window window,
                  const ea_requant *requant, int8_t *output, ea_shape out);

/* Point-wise: weights [c_out][c_in]; the bias already holds the input's zero point. */
void ea_pointwise(const int8_t *input, int c_in, const int8_t *weights, const ea_requant *requant, int8_t *output,
                  ea_shape out);

/* Point-wise with weights as rows of pairs (gap, value), each row behind its number of pairs: see pointwise_delta8.c. */
void ea_pointwise_delta8(const int8_t *input, const uint8_t *stream, const ea_requant *requant, int8_t *output,
                         ea_shape out);

/* Point-wise with half a byte of position per weight: see pointwise_nibble.c. */
void ea_pointwise_nibble(const int8_t *input, const uint8_t *nibbles, const int8_t *values, const ea_requant *requant,
                         int8_t *output, ea_shape out);

/* Point-wise with a bit per weight, and those whose bit is set: see pointwise_bitmap.c. */
void ea_pointwise_bitmap(const int8_t *input, int c_in, const uint8_t *bitmap, const int8_t *values,
                         const ea_requant *requant, int8_t *output, ea_shape out);

/* first + second, or first - second where `second_sign` is -1. Strides in elements along channel, frequency, time; 0
 * repeats. */
typedef struct {
    int c, f, t;
} ea_strides;

/* The shape with neighbouring axes joined where both operands step through them evenly. */
static inline ea_shape ea_runs(ea_shape out, ea_strides a, ea_strides b)
{
    if (a.f == a.t * out.t && b.f == b.t * out.t) {
        out.t *= out.f;
        if (a.c == a.f * out.f && b.c == b.f * out.f) {
            out.t *= out.c;
            out.c = 1;
        }
        out.f = 1;
    }
    return out;
}

typedef struct {
    int32_t zero_point;
    int32_t multiplier;
    int shift;
} ea_addend;

void ea_sum(const int8_t *first, ea_strides first_strides, ea_addend first_scale, const int8_t *second,
            ea_strides second_strides, ea_addend second_scale, int second_sign, ea_scale scale, int8_t *output,
            ea_shape out);

/* (offset + (a * x >> 8) + (b * y >> 8)) >> 21 for values x, y of the operands, limited to [low, 127]. */
typedef struct {
    int32_t a, b;
    int32_t offset;
    int32_t low;
} ea_weighting;

void ea_blend(const int8_t *first, ea_strides first_strides, const int8_t *second, ea_strides second_strides,
              ea_weighting weighting, int8_t *output, ea_shape out);

/* Product with a second operand that is constant along time: w = (y - second_zero_point) * weight,
 * (offset + (w * x >> 8) - (w * first_zero_point >> 8)) >> 20. */
typedef struct {
    int32_t first_zero_point, second_zero_point;
    int32_t weight;
    int32_t offset;
} ea_gaining;

void ea_gain(const int8_t *first, const int8_t *second, ea_strides second_strides, ea_gaining gaining, int8_t *output,
             ea_shape out);

/* Product of a tensor with itself; may work in place. */
void ea_square(const int8_t *input, int32_t zero_point, ea_scale scale, int8_t *output, int32_t count);

void ea_product(const int8_t *first, ea_strides first_strides, int32_t first_zero_point, const int8_t *second,
                ea_strides second_strides, int32_t second_zero_point, ea_scale scale, int8_t *output, ea_shape out);

/* Mean over the axes along which `out` has size 1. */
void ea_mean(const int8_t *input, ea_shape in, int32_t input_zero_point, ea_scale scale, int8_t *output, ea_shape out);

/* `bytes` of every channel; channels lie a plane apart. */
void ea_copy(const int8_t *from, int32_t from_plane, int8_t *to, int32_t to_plane, int channels, int32_t bytes);

/* Moves a window on by `rows` rows and puts strip `index` there, which lies `index * step` after `from`; before the
 * first strip and after the last of `strips` there is the zero point. */
void ea_roll(const int8_t *from, int32_t from_plane, int32_t step, int rows, int32_t index, int32_t strips,
             int32_t zero_point, int8_t *window, ea_shape shape);

/* Adds strip `index` to int32 sums [channels][frames], which strip 0 clears; over all channels where `channels` is 1, over
 * all frames where `frames` is. Then the mean of the whole: `zero` is the input's zero point as often as was summed. */
void ea_sums(const int8_t *input, int32_t plane, ea_shape in, int32_t index, void *sums, int channels, int frames);
void ea_mean_of_sums(const void *sums, int32_t zero, ea_scale scale, int8_t *output, int32_t count);

void ea_avg_pool(const int8_t *input, ea_shape in, ea_window window, int32_t low, int8_t *output, ea_shape out);

void ea_max_pool(const int8_t *input, ea_shape in, ea_window window, int8_t *output, ea_shape out);

/* Frames before and after every row, fewer than it has, mirrored at its first and at its last one. */
void ea_mirror(const int8_t *input, int32_t rows, int32_t frames, int32_t before, int32_t after, int8_t *output);

/* The zero point before and after every row. */
void ea_zero_pad(const int8_t *input, int32_t rows, int32_t frames, int32_t before, int32_t after, int8_t zero,
                 int8_t *output);

/* `above` for what is above the zero point, `below` for what is below it, times the channel's slope; slopes lie
 * `slope_step` apart. May work in place. */
void ea_prelu(const int8_t *input, int32_t zero_point, const int8_t *slopes, int slope_step, ea_scale above,
              ea_scale below, int8_t *output, int channels, int32_t plane);

/* output[i] = table[input[i] + 128]; may work in place. */
void ea_table(const int8_t *input, const int8_t *table, int8_t *output, int32_t count);

static inline void ea_look_up(const int8_t *input, const int8_t *table, int8_t *output, int32_t count)
{
    const int8_t *middle = table + 128;
    for (; count >= 4; count -= 4, input += 4, output += 4) {
        output[0] = middle[input[0]];
        output[1] = middle[input[1]];
        output[2] = middle[input[2]];
        output[3] = middle[input[3]];
    }
    for (; count > 0; count--)
        *output++ = middle[*input++];
}

/* Residual normalisation of an island, statistics over channels and time; may work in place. */
typedef struct {
    int32_t input_zero_point;
    int scaling;
    int64_t epsilon;
    int32_t multiplier;
    int shift;
    int64_t residual;
    int32_t output_zero_point;
} ea_resnorm_constants;

void ea_resnorm(const int8_t *input, const ea_resnorm_constants *constants, int8_t *output, ea_shape shape);

#endif
