/* SPDX-License-Identifier: 0BSD OR Apache-2.0 */
/* A function of one value, looked up. */
#include "ea_kernels.h"

void ea_table(const int8_t *input, const int8_t *table, int8_t *output, int32_t count)
{
    ea_look_up(input, table, output, count);
}
