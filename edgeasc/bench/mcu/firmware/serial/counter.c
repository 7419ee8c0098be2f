/* SPDX-License-Identifier: 0BSD OR Apache-2.0 */
#include "counter.h"

#define REGISTER(address) (*(volatile uint32_t *)(address))
#define DEMCR REGISTER(0xE000EDFCu)
#define DWT_CONTROL REGISTER(0xE0001000u)
#define DWT_CYCCNT REGISTER(0xE0001004u)
#define DWT_LOCK REGISTER(0xE0001FB0u)
#define SYSTICK_CONTROL REGISTER(0xE000E010u)
#define SYSTICK_RELOAD REGISTER(0xE000E014u)
#define SYSTICK_VALUE REGISTER(0xE000E018u)

enum { SYSTICK_MASK = 0xFFFFFF };

static uint8_t kind;

/* Whether the cycle counter is there and moves: some cores have none, and emulators read zero. */
static int dwt_counts(void)
{
    DEMCR |= 1u << 24; /* TRCENA */
    DWT_LOCK = 0xC5ACCE55u;
    DWT_CYCCNT = 0;
    DWT_CONTROL |= 1u;
    const uint32_t before = DWT_CYCCNT;
    for (volatile int i = 0; i < 16; i++) {
    }
    return DWT_CYCCNT != before;
}

uint8_t fw_counter_start(void)
{
    kind = FW_COUNTER_DWT;
    if (!dwt_counts()) {
        kind = FW_COUNTER_SYSTICK;
        SYSTICK_RELOAD = SYSTICK_MASK;
        SYSTICK_VALUE = 0;
        SYSTICK_CONTROL = 5; /* on, core clock, no interrupt */
    }
    return kind;
}

uint32_t fw_counter_now(void)
{
    return kind == FW_COUNTER_DWT ? DWT_CYCCNT : SYSTICK_MASK - SYSTICK_VALUE;
}

uint32_t fw_counter_since(uint32_t before)
{
    const uint32_t passed = fw_counter_now() - before;
    return kind == FW_COUNTER_DWT ? passed : passed & SYSTICK_MASK;
}

uint32_t fw_counter_calibrate(void)
{
    uint32_t loops = FW_CALIBRATION_LOOPS;
    const uint32_t start = fw_counter_now();
    __asm volatile("1: subs %0, %0, #1\n"
                   "bne 1b\n"
                   : "+r"(loops)
                   :
                   : "cc");
    return fw_counter_since(start);
}
