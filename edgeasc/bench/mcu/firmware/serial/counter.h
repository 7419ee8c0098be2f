/* SPDX-License-Identifier: 0BSD OR Apache-2.0 */
/* What a layer costs: cycles of the core where it can count them, and ticks of SysTick where not, as under emulation. */
#ifndef FW_COUNTER_H
#define FW_COUNTER_H

#include <stdint.h>

enum { FW_COUNTER_DWT = 1, FW_COUNTER_SYSTICK = 2 };
enum { FW_CALIBRATION_LOOPS = 1000000, FW_CALIBRATION_PER_LOOP = 2 };

/* Starts the better counter that is here; which one it is. */
uint8_t fw_counter_start(void);

uint32_t fw_counter_now(void);

/* Ticks since `before`, which may be 2^24 ticks ago at most. */
uint32_t fw_counter_since(uint32_t before);

/* Ticks of a loop of FW_CALIBRATION_LOOPS * FW_CALIBRATION_PER_LOOP instructions. */
uint32_t fw_counter_calibrate(void);

#endif
