/* SPDX-License-Identifier: 0BSD OR Apache-2.0 */
/* Counting and stack of the emulated firmware.
 *
 * SysTick runs on the emulator's instruction clock; how many instructions one tick is, is measured here with a loop of
 * known length, so that no board's clock has to be believed. */
#ifndef CLOCK_H
#define CLOCK_H

#include <stdint.h>

#define SYSTICK_CONTROL (*(volatile uint32_t *)0xE000E010u)
#define SYSTICK_RELOAD (*(volatile uint32_t *)0xE000E014u)
#define SYSTICK_VALUE (*(volatile uint32_t *)0xE000E018u)

enum { TICK_MASK = 0xFFFFFF, CALIBRATION_LOOPS = 1000000, CALIBRATION_PER_LOOP = 2 };

extern uint32_t fw_stack_bottom[], fw_stack_top[];

static inline uint32_t now(void)
{
    return TICK_MASK - SYSTICK_VALUE;
}

static inline uint32_t ticks_since(uint32_t start)
{
    return (now() - start) & TICK_MASK;
}

/* Starts the clock; the ticks that CALIBRATION_LOOPS * CALIBRATION_PER_LOOP instructions take. */
static inline uint32_t calibrate(void)
{
    SYSTICK_RELOAD = TICK_MASK;
    SYSTICK_VALUE = 0;
    SYSTICK_CONTROL = 5;
    uint32_t loops = CALIBRATION_LOOPS;
    const uint32_t start = now();
    __asm volatile("1: subs %0, %0, #1\n"
                   "bne 1b\n"
                   : "+r"(loops)
                   :
                   : "cc");
    return ticks_since(start);
}

static inline uint32_t stack_used(void)
{
    const uint32_t *p = fw_stack_bottom;
    while (p < fw_stack_top && *p == 0xA5A5A5A5u)
        p++;
    return (uint32_t)((uintptr_t)fw_stack_top - (uintptr_t)p);
}

#endif
