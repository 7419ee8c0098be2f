/* SPDX-License-Identifier: 0BSD OR Apache-2.0 */
/* Point-wise convolution whose weights other than zero have four bits of position each: channels skipped before them.
 * Fifteen skips fifteen channels and has no weight. */
#include "ea_sparse.h"

enum { SKIP = 15 };

/* The row of `bytes` bytes; returns the values behind its own. */
static const int8_t *ea_unpack_nibbles(const uint8_t *nibbles, int bytes, const int8_t *values, ea_unpacked *row)
{
    int gap = 0;
    row->count = 0;
    for (int i = 0; i < 2 * bytes; i++) {
        const int skipped = nibbles[i / 2] >> (i % 2 * 4) & 15;
        gap += skipped;
        if (skipped != SKIP) {
            ea_put(row, gap, *values++);
            gap = 1; /* past this weight */
        }
    }
    return values;
}

void ea_pointwise_nibble(const int8_t *input, const uint8_t *nibbles, const int8_t *values, const ea_requant *requant,
                         int8_t *output, ea_shape out)
{
    const int32_t plane = (int32_t)out.f * out.t;
    ea_unpacked row;
    for (int c = 0; c < out.c; c++) {
        int bytes;
        nibbles = ea_length(nibbles, &bytes);
        values = ea_unpack_nibbles(nibbles, bytes, values, &row);
        ea_sparse_channel(input, row.pairs, row.count, requant, c, output + c * plane, out);
        nibbles += bytes;
    }
}
