/* SPDX-License-Identifier: 0BSD OR Apache-2.0 */
/* Point-wise convolution whose weights other than zero are pairs (gap, value): channels skipped since the last pair. */
#include "ea_sparse.h"

void ea_pointwise_delta8(const int8_t *input, const uint8_t *stream, const ea_requant *requant, int8_t *output,
                         ea_shape out)
{
    const int32_t plane = (int32_t)out.f * out.t;
    for (int c = 0; c < out.c; c++) {
        int count;
        stream = ea_length(stream, &count);
        ea_sparse_channel(input, stream, count, requant, c, output + c * plane, out);
        stream += 2 * count;
    }
}
