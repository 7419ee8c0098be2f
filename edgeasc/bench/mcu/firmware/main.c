/* SPDX-License-Identifier: 0BSD OR Apache-2.0 */
/* Reads inputs from a file, runs the network on each, writes its logits and what every layer cost.
 *
 * SysTick runs on the emulator's instruction clock; how many instructions one tick is, is measured here with a loop of
 * known length, so that no board's clock has to be believed. */
#include "scene.h"
#include "semihosting.h"

#define SYSTICK_CONTROL (*(volatile uint32_t *)0xE000E010u)
#define SYSTICK_RELOAD (*(volatile uint32_t *)0xE000E014u)
#define SYSTICK_VALUE (*(volatile uint32_t *)0xE000E018u)

enum { TICK_MASK = 0xFFFFFF, CALIBRATION_LOOPS = 1000000, CALIBRATION_PER_LOOP = 2 };

extern uint32_t fw_stack_bottom[], fw_stack_top[];

static __attribute__((aligned(8), section(".arena"))) unsigned char arena[SCENE_ARENA_BYTES];

static struct {
    uint32_t magic;
    uint32_t runs;
    uint32_t stack_bytes;
    uint32_t calibration_instructions;
    uint32_t calibration_ticks;
    uint32_t layers;
    uint64_t ticks[SCENE_LAYERS];
} report = {.magic = 0x45414D31u, .layers = SCENE_LAYERS};

static uint32_t last;

void fw_exit(int status);
void fw_after(int layer);

static uint32_t now(void)
{
    return TICK_MASK - SYSTICK_VALUE;
}

void fw_after(int layer)
{
    report.ticks[layer] += (now() - last) & TICK_MASK;
    last = now();
}

void fw_exit(int status)
{
    const uint32_t arguments[2] = {0x20026u, (uint32_t)status};
    sh_call(SH_EXIT_EXTENDED, arguments);
    for (;;) {
    }
}

static uint32_t calibrate(void)
{
    uint32_t loops = CALIBRATION_LOOPS;
    const uint32_t start = now();
    __asm volatile("1: subs %0, %0, #1\n"
                   "bne 1b\n"
                   : "+r"(loops)
                   :
                   : "cc");
    return (now() - start) & TICK_MASK;
}

static uint32_t stack_used(void)
{
    const uint32_t *p = fw_stack_bottom;
    while (p < fw_stack_top && *p == 0xA5A5A5A5u)
        p++;
    return (uint32_t)((uintptr_t)fw_stack_top - (uintptr_t)p);
}

int main(void)
{
    SYSTICK_RELOAD = TICK_MASK;
    SYSTICK_VALUE = 0;
    SYSTICK_CONTROL = 5;
    report.calibration_instructions = CALIBRATION_LOOPS * CALIBRATION_PER_LOOP;
    report.calibration_ticks = calibrate();

    const int32_t in = sh_open("inputs.bin", 10, SH_READ_BINARY), out = sh_open("outputs.bin", 11, SH_WRITE_BINARY);
    if (in < 0 || out < 0 || scene_init(arena) != 0)
        return 2;
    while (sh_transfer(SH_READ, in, scene_input(arena), SCENE_INPUT_BYTES) == 0) {
        last = now();
        scene_run(arena);
        report.runs++;
        if (sh_transfer(SH_WRITE, out, scene_output(arena), SCENE_OUTPUT_BYTES) != 0)
            return 3;
    }
    report.stack_bytes = stack_used();
    const int32_t file = sh_open("report.bin", 10, SH_WRITE_BINARY);
    if (file < 0 || sh_transfer(SH_WRITE, file, &report, sizeof report) != 0)
        return 4;
    return 0;
}
