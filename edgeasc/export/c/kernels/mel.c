/* SPDX-License-Identifier: 0BSD OR Apache-2.0 */
/* From a spectrum to levels: sums of powers between the corners of the mel filters, logarithm by table, int8. */
#include "ea_frontend.h"

enum { LOG_BITS = 24, LEVEL_BITS = 10, LN2 = 11629080 }; /* ln 2 times 2^24 */

/* (value * factor) >> 32, whose product would need 96 bits. */
static inline uint64_t ea_scaled(uint64_t value, uint32_t factor)
{
    return (value >> 32) * factor + (((value & 0xFFFFFFFFu) * factor) >> 32);
}

/* Place of the highest bit that is set. */
static inline int ea_exponent(uint64_t value)
{
#if defined(__GNUC__)
    return 63 - __builtin_clzll(value);
#else
    int place = 0;
    while (value >>= 1)
        place++;
    return place;
#endif
}

/* ln(value) times 2^24 for a value that is not 0; linear between the table's cells. */
static int32_t ea_log(uint64_t value, const int32_t *table)
{
    const int exponent = ea_exponent(value);
    const uint32_t mantissa = (uint32_t)((value << (63 - exponent)) >> 32);
    const int32_t *cell = table + ((mantissa >> 25) & 63u);
    const int32_t rest = (int32_t)((mantissa >> 13) & 0xFFFu);
    return exponent * LN2 + cell[0] + (((cell[1] - cell[0]) * rest + (1 << 11)) >> 12);
}

void ea_mel_levels(const ea_frontend *front, const int32_t *spectrum, int16_t *levels)
{
    const uint32_t step = ea_bin_step(front->log2_fft - 1);
    uint32_t bin = (uint32_t)front->first_bin * step;
    uint64_t rising = 0;
    for (int j = 0; j <= front->mels; j++) {
        /* The sum of powers and the sum of that sum: a filter's side is a line, so these two give it. */
        int64_t sum = 0;
        uint64_t weighted = 0;
        for (int left = front->bins[j]; left > 0; left--, bin += step) {
            const int32_t *value = spectrum + 2 * ea_bin_place(bin);
            sum += (int64_t)value[0] * value[0];
            sum += (int64_t)value[1] * value[1];
            weighted += (uint64_t)sum;
        }
        const uint64_t whole = (uint64_t)sum;
        const uint64_t up = ea_scaled(weighted, front->slope[j]), down = ea_scaled(whole, front->lean[j]);
        uint64_t falling = up > down ? up - down : 0;
        if (falling > whole)
            falling = whole;
        if (j > 0) {
            const uint64_t floored = rising + falling + ((uint64_t)front->floor[j - 1] << front->floor_shift);
            int32_t level = ea_log(floored, front->logarithm) + front->offset[j - 1];
            level = (level + (1 << (LOG_BITS - LEVEL_BITS - 1))) >> (LOG_BITS - LEVEL_BITS);
            levels[j - 1] = (int16_t)(level < INT16_MIN ? INT16_MIN : level > INT16_MAX - 1 ? INT16_MAX - 1 : level);
        }
        rising = whole - falling;
    }
}

int8_t ea_level_to_int8(int16_t level, const int16_t *thresholds)
{
    int reached = 0;
    for (int half = 128; half > 0; half /= 2)
        if (level >= thresholds[reached + half - 1])
            reached += half;
    return (int8_t)(reached - 128);
}

int ea_argmax(const int8_t *values, int count)
{
    int best = 0;
    for (int i = 1; i < count; i++)
        if (values[i] > values[best])
            best = i;
    return best;
}
