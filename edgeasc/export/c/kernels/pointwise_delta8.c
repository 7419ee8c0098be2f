/* SPDX-License-Identifier: 0BSD OR Apache-2.0 */
/* Point-wise convolution whose weights other than zero are pairs (gap, value): channels skipped since the last pair. */
#include "ea_sparse.h"

static inline ea_eight ea_walk_delta8(const int8_t *input, int32_t plane, ea_row row)
{
    ea_eight sums = {0, 0, 0, 0, 0, 0, 0, 0};
    const uint8_t *pair = row.index;
    for (int left = row.length; left > 0; left--, pair += 2) {
        input += pair[0] * plane;
        ea_eight_add(&sums, (int8_t)pair[1], input);
    }
    return sums;
}

static inline int32_t ea_walk_delta8_one(const int8_t *input, int32_t plane, ea_row row)
{
    int32_t sum = 0;
    const uint8_t *pair = row.index;
    for (int left = row.length; left > 0; left--, pair += 2) {
        input += pair[0] * plane;
        sum += (int8_t)pair[1] * *input;
    }
    return sum;
}

void ea_pointwise_delta8(const int8_t *input, const uint8_t *stream, const ea_requant *requant, int8_t *output,
                         ea_shape out)
{
    const int32_t plane = (int32_t)out.f * out.t;
    for (int c = 0; c < out.c; c++) {
        ea_row row = {0, 0, 0};
        row.index = ea_length(stream, &row.length);
        ea_sparse_channel(input, row, requant, c, output + c * plane, out, ea_walk_delta8, ea_walk_delta8_one);
        stream = row.index + 2 * row.length;
    }
}
