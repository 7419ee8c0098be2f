/* SPDX-License-Identifier: 0BSD OR Apache-2.0 */
/* Moves rows between tensors, strips of them, and windows that roll over them. */
#include <string.h>

#include "ea_kernels.h"

#if defined(__GNUC__)
#define EA_WORD(to, from) __builtin_memcpy(to, from, 4) /* one instruction, also where there is no libc */
#else
#define EA_WORD(to, from) memcpy(to, from, 4)
#endif

/* Upwards, so that `to` may lie before `from` and overlap it. */
static void ea_run(int8_t *to, const int8_t *from, int32_t bytes)
{
    for (; bytes >= 8; bytes -= 8, from += 8, to += 8) {
        uint32_t a, b;
        EA_WORD(&a, from);
        EA_WORD(&b, from + 4);
        EA_WORD(to, &a);
        EA_WORD(to + 4, &b);
    }
    for (; bytes > 0; bytes--)
        *to++ = *from++;
}

void ea_copy(const int8_t *from, int32_t from_plane, int8_t *to, int32_t to_plane, int channels, int32_t bytes)
{
    for (; channels > 0; channels--, from += from_plane, to += to_plane)
        ea_run(to, from, bytes);
}

void ea_roll(const int8_t *from, int32_t from_plane, int32_t step, int rows, int32_t index, int32_t strips,
             int32_t zero_point, int8_t *window, ea_shape shape)
{
    const int32_t plane = (int32_t)shape.f * shape.t, fresh = (int32_t)rows * shape.t;
    const int inside = index < strips;
    if (inside)
        from += index * step;
    for (int c = 0; c < shape.c; c++, window += plane) {
        if (index == 0) {
            for (int32_t i = 0; i < plane - fresh; i++)
                window[i] = (int8_t)zero_point;
        } else {
            ea_run(window, window + fresh, plane - fresh);
        }
        int8_t *end = window + (plane - fresh);
        if (inside) {
            ea_run(end, from, fresh);
            from += from_plane;
        } else {
            for (int32_t i = 0; i < fresh; i++)
                end[i] = (int8_t)zero_point;
        }
    }
}
