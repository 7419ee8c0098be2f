/* SPDX-License-Identifier: 0BSD OR Apache-2.0 */
/* Point-wise convolution with one bit per weight that says whether it is stored, from the highest bit of a byte on. */
#include "ea_sparse.h"

enum { WORD_BYTES = 4 };

/* Up to four bytes, the first at the top. */
static inline uint32_t ea_bits(const uint8_t *bytes, int count)
{
    uint32_t word = (uint32_t)bytes[0] << 24;
    if (count > 1)
        word |= (uint32_t)bytes[1] << 16;
    if (count > 2)
        word |= (uint32_t)bytes[2] << 8;
    if (count > 3)
        word |= bytes[3];
    return word;
}

/* Zeros above the highest bit of a word that is not 0. */
static inline int ea_leading_zeros(uint32_t word)
{
#if defined(__GNUC__)
    return __builtin_clz(word);
#else
    int zeros = 0;
    for (; !(word >> 31); word <<= 1)
        zeros++;
    return zeros;
#endif
}

static inline ea_eight ea_walk_bitmap(const int8_t *input, int32_t plane, ea_row row)
{
    ea_eight sums = {0, 0, 0, 0, 0, 0, 0, 0};
    const int8_t *value = row.values;
    for (int i = 0; i < row.length; i += WORD_BYTES) {
        for (uint32_t bits = ea_bits(row.index + i, row.length - i); bits != 0;) {
            const int c = ea_leading_zeros(bits);
            bits &= ~((uint32_t)1 << 31 >> c);
            ea_eight_add(&sums, *value++, input + (8 * i + c) * plane);
        }
    }
    return sums;
}

static inline int32_t ea_walk_bitmap_one(const int8_t *input, int32_t plane, ea_row row)
{
    int32_t sum = 0;
    const int8_t *value = row.values;
    for (int c = 0; c < 8 * row.length; c++)
        if (row.index[c / 8] << c % 8 & 128)
            sum += *value++ * input[c * plane];
    return sum;
}

static int ea_weights_of(ea_row row)
{
    int weights = 0;
    for (int i = 0; i < row.length; i++)
        for (int bits = row.index[i]; bits != 0; bits &= bits - 1)
            weights++;
    return weights;
}

void ea_pointwise_bitmap(const int8_t *input, int c_in, const uint8_t *bitmap, const int8_t *values,
                         const ea_requant *requant, int8_t *output, ea_shape out)
{
    const int32_t plane = (int32_t)out.f * out.t;
    ea_row row = {bitmap, values, (c_in + 7) / 8};
    for (int c = 0; c < out.c; c++) {
        ea_sparse_channel(input, row, requant, c, output + c * plane, out, ea_walk_bitmap, ea_walk_bitmap_one);
        row.values += ea_weights_of(row);
        row.index += row.length;
    }
}
