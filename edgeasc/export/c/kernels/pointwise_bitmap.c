/* SPDX-License-Identifier: 0BSD OR Apache-2.0 */
/* Point-wise convolution with one bit per weight that says whether it is stored, from the highest bit of a byte on. */
#include "ea_sparse.h"

/* The row of `bytes` bytes; returns the values behind its own. */
static const int8_t *ea_unpack_bits(const uint8_t *bitmap, int bytes, const int8_t *values, ea_unpacked *row)
{
    int last = 0;
    row->count = 0;
    for (int i = 0; i < bytes; i++) {
        int channel = 8 * i;
        for (int bits = bitmap[i]; bits != 0; bits = bits << 1 & 255, channel++)
            if (bits & 128) {
                ea_put(row, channel - last, *values++);
                last = channel;
            }
    }
    return values;
}

void ea_pointwise_bitmap(const int8_t *input, int c_in, const uint8_t *bitmap, const int8_t *values,
                         const ea_requant *requant, int8_t *output, ea_shape out)
{
    const int32_t plane = (int32_t)out.f * out.t;
    const int bytes = (c_in + 7) / 8;
    ea_unpacked row;
    for (int c = 0; c < out.c; c++) {
        values = ea_unpack_bits(bitmap, bytes, values, &row);
        ea_sparse_channel(input, row.pairs, row.count, requant, c, output + c * plane, out);
        bitmap += bytes;
    }
}
