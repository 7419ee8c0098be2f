/* SPDX-License-Identifier: 0BSD OR Apache-2.0 */
/* Hears 16-bit samples from a file as a microphone hands them over, some at a time; writes the levels of every frame, the
 * logits of every scene, and what front end and network cost, apart. */
#include "clock.h"
#include "scene_stream.h"
#include "semihosting.h"

static __attribute__((aligned(8), section(".arena"))) unsigned char arena[SCENE_STREAM_ARENA_BYTES];

static scene_stream stream;

enum { HANDED_OVER = 160 };

static int16_t heard[HANDED_OVER];

static struct {
    uint32_t magic;
    uint32_t frames;
    uint32_t scenes;
    uint32_t stack_bytes;
    uint32_t calibration_instructions;
    uint32_t calibration_ticks;
    uint32_t layers;
    uint32_t largest_push_ticks;
    uint64_t front_end_ticks;
    uint64_t between_ticks;
    uint64_t ticks[SCENE_LAYERS];
} report = {.magic = 0x45414C31u, .layers = SCENE_LAYERS};

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

/* Samples up to the end of a frame, or as many as are handed over at once. */
static int32_t next_count(void)
{
    return stream.wait < HANDED_OVER ? stream.wait : HANDED_OVER;
}

/* Whether the samples completed a frame. */
static int hear(int32_t count)
{
    const int complete = count == stream.wait;
    const uint32_t start = now();
    scene_stream_push(&stream, heard, count);
    const uint32_t spent = ticks_since(start);
    report.front_end_ticks += spent;
    report.largest_push_ticks = spent > report.largest_push_ticks ? spent : report.largest_push_ticks;
    report.frames += (uint32_t)complete;
    return complete;
}

/* Layers are counted by fw_after; what comes before and after them is counted here. */
static void decide(void)
{
    uint64_t layers = 0, before = 0;
    for (int i = 0; i < SCENE_LAYERS; i++)
        before += report.ticks[i];
    const uint32_t start = last = now();
    scene_stream_run(&stream);
    const uint32_t whole = ticks_since(start);
    for (int i = 0; i < SCENE_LAYERS; i++)
        layers += report.ticks[i];
    report.between_ticks += whole > layers - before ? whole - (layers - before) : 0;
    report.scenes++;
}

int main(void)
{
    report.calibration_instructions = CALIBRATION_LOOPS * CALIBRATION_PER_LOOP;
    report.calibration_ticks = calibrate();
    const int32_t in = sh_open("inputs.bin", 10, SH_READ_BINARY), out = sh_open("outputs.bin", 11, SH_WRITE_BINARY);
    const int32_t levels = sh_open("levels.bin", 10, SH_WRITE_BINARY);
    if (in < 0 || out < 0 || levels < 0 || scene_stream_init(&stream, arena, SCENE_FRAMES) != 0)
        return 2;
    for (int32_t n = next_count(); sh_transfer(SH_READ, in, heard, 2 * (uint32_t)n) == 0; n = next_count()) {
        if (!hear(n))
            continue;
        const unsigned char *place = arena + (4u << SCENE_LOG2_FFT); /* where the stream leaves a frame's levels */
        if (sh_transfer(SH_WRITE, levels, place, 2 * SCENE_MELS) != 0)
            return 3;
        if (!scene_stream_due(&stream))
            continue;
        decide();
        if (sh_transfer(SH_WRITE, out, scene_output(arena), SCENE_OUTPUT_BYTES) != 0)
            return 3;
    }
    report.stack_bytes = stack_used();
    const int32_t file = sh_open("report.bin", 10, SH_WRITE_BINARY);
    if (file < 0 || sh_transfer(SH_WRITE, file, &report, sizeof report) != 0)
        return 4;
    return 0;
}
