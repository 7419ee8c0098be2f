/* SPDX-License-Identifier: 0BSD OR Apache-2.0 */
/* Point-wise convolution whose weights other than zero have four bits of position each: channels skipped before them.
 * Fifteen skips fifteen channels and has no weight. */
#include "ea_sparse.h"

enum { SKIP = 15 };

static inline ea_eight ea_walk_nibble(const int8_t *input, int32_t plane, ea_row row)
{
    ea_eight sums = {0, 0, 0, 0, 0, 0, 0, 0};
    const int8_t *value = row.values;
    for (int i = 0; i < row.length; i++) {
        const int low = row.index[i] & 15, high = row.index[i] >> 4;
        input += low * plane;
        if (low != SKIP) {
            ea_eight_add(&sums, *value++, input);
            input += plane;
        }
        input += high * plane;
        if (high != SKIP) {
            ea_eight_add(&sums, *value++, input);
            input += plane;
        }
    }
    return sums;
}

static inline int32_t ea_walk_nibble_one(const int8_t *input, int32_t plane, ea_row row)
{
    int32_t sum = 0;
    const int8_t *value = row.values;
    for (int i = 0; i < 2 * row.length; i++) {
        const int gap = row.index[i / 2] >> (i % 2 * 4) & 15;
        input += gap * plane;
        if (gap != SKIP) {
            sum += *value++ * *input;
            input += plane;
        }
    }
    return sum;
}

/* Weights in a row of nibbles. */
static int ea_weights_of(ea_row row)
{
    int weights = 0;
    for (int i = 0; i < row.length; i++)
        weights += ((row.index[i] & 15) != SKIP) + (row.index[i] >> 4 != SKIP);
    return weights;
}

void ea_pointwise_nibble(const int8_t *input, const uint8_t *nibbles, const int8_t *values, const ea_requant *requant,
                         int8_t *output, ea_shape out)
{
    const int32_t plane = (int32_t)out.f * out.t;
    for (int c = 0; c < out.c; c++) {
        ea_row row = {0, values, 0};
        row.index = ea_length(nibbles, &row.length);
        ea_sparse_channel(input, row, requant, c, output + c * plane, out, ea_walk_nibble, ea_walk_nibble_one);
        nibbles = row.index + row.length;
        values += ea_weights_of(row);
    }
}
