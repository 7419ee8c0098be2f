/* SPDX-License-Identifier: 0BSD OR Apache-2.0 */
/* Reads inputs from a file, runs the network on each, writes its logits and what every layer cost. */
#include "clock.h"
#include "scene.h"
#include "semihosting.h"

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

void fw_after(int layer)
{
    report.ticks[layer] += ticks_since(last);
    last = now();
}

void fw_exit(int status)
{
    sh_exit(status);
}

int main(void)
{
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
