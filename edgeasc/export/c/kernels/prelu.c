/* SPDX-License-Identifier: 0BSD OR Apache-2.0 */
/* A rectifier with a slope for every channel. */
#include "ea_kernels.h"

void ea_prelu(const int8_t *input, int32_t zero_point, const int8_t *slopes, int slope_step, ea_scale above,
              ea_scale below, int8_t *output, int channels, int32_t plane)
{
    for (; channels > 0; channels--, slopes += slope_step) {
        const int32_t slope = *slopes;
        for (int32_t i = plane; i > 0; i--) {
            const int32_t x = *input++ - zero_point;
            const ea_scale *s = x < 0 ? &below : &above;
            *output++ = ea_finish(x < 0 ? x * slope : x, s->multiplier, s->shift, s->output_zero_point, s->low);
        }
    }
}
