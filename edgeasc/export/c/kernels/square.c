/* SPDX-License-Identifier: 0BSD OR Apache-2.0 */
/* Square of a tensor, by a table of all 256 results that is made at every call: 256 bytes of stack instead of flash. */
#include "ea_kernels.h"

enum { VALUES = 256, FIRST = -128 };

EA_APART static void ea_read(const int8_t *input, const int8_t *table, int8_t *output, int32_t count)
{
    ea_look_up(input, table, output, count);
}

void ea_square(const int8_t *input, int32_t zero_point, ea_scale scale, int8_t *output, int32_t count)
{
    int8_t table[VALUES];
    for (int32_t i = 0; i < VALUES; i++) {
        const int32_t value = i + FIRST - zero_point;
        table[i] = ea_finish(value * value, scale.multiplier, scale.shift, scale.output_zero_point, scale.low);
    }
    ea_read(input, table, output, count);
}
