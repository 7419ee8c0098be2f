/* SPDX-License-Identifier: 0BSD OR Apache-2.0 */
/* Product of a tensor with one value per row: `(offset + (w * x >> 8) - (w * x_zero >> 8)) >> 20`, limited to int8, with
 * `w = (y - y_zero) * weight`.
 *
 * The generator has found numbers that make this the integer of the exact, slower arithmetic for all 65,536 pairs. */
#include <stdint.h>

enum { POINT = 20 };

#include "ea_strips.h"

typedef struct {
    int32_t a;
    int32_t offset;
} ea_slope;

static inline ea_slope ea_slope_of(int32_t y, const ea_gaining *k)
{
    const int32_t a = (y - k->second_zero_point) * k->weight;
    return (ea_slope){a, k->offset - ea_part(a, k->first_zero_point)};
}

void ea_gain(const int8_t *first, const int8_t *second, ea_strides r, ea_gaining k, int8_t *output, ea_shape out)
{
    const int32_t plane = (int32_t)out.f * out.t;
    if (r.c == 0 && r.f == 0) {
        const ea_slope s = ea_slope_of(*second, &k);
        ea_line(first, s.a, s.offset, output, out.c * plane);
        return;
    }
    for (int f = 0; f < out.f; f++)
        if (r.c == 0) {
            const ea_slope s = ea_slope_of(second[(int32_t)f * r.f], &k);
            const int32_t offsets[STRIP] = {s.offset, s.offset, s.offset, s.offset};
            for (int t = 0; t < out.t; t += STRIP) {
                const int32_t start = (int32_t)f * out.t + t;
                ea_strip(first + start, plane, out.c, out.t - t < STRIP ? out.t - t : STRIP, s.a, offsets,
                         output + start);
            }
        } else {
            for (int c = 0; c < out.c; c++) {
                const ea_slope s = ea_slope_of(second[(int32_t)c * r.c + (int32_t)f * r.f], &k);
                const int32_t start = c * plane + (int32_t)f * out.t;
                ea_line(first + start, s.a, s.offset, output + start, out.t);
            }
        }
}
