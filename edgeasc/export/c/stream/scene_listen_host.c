/* SPDX-License-Identifier: 0BSD OR Apache-2.0 */
/* Names scenes on this machine: raw 16-bit mono samples at SCENE_SAMPLE_RATE from standard input, one line per scene.
 *
 * `scene_listen_host 1` decides after every frame, without an argument after every window; `scene_listen_host 0` writes
 * the network's input, int8 [mel][frame], instead of running it. What is short of a window is filled with silence. */
#include <stdio.h>
#include <stdlib.h>

#include "scene_stream.h"

static union {
    uint64_t aligned;
    unsigned char bytes[SCENE_STREAM_ARENA_BYTES];
} arena;

static scene_stream stream;

static int decide(long heard)
{
    const int scene = scene_stream_run(&stream);
    printf("%.3f s: %s\n", (double)heard / SCENE_SAMPLE_RATE, scene_labels[scene]);
    return fflush(stdout);
}

static int show_input(void)
{
    for (int mel = 0; mel < SCENE_MELS; mel++)
        for (int t = 0; t < SCENE_FRAMES; t++)
            if (putchar((unsigned char)stream.history[(stream.frame + t) % SCENE_FRAMES * SCENE_MELS + mel]) == EOF)
                return 1;
    stream.until = SCENE_FRAMES;
    return fflush(stdout);
}

int main(int count, char **arguments)
{
    const int every = count > 1 ? atoi(arguments[1]) : SCENE_FRAMES;
    int16_t samples[256];
    long heard = 0, scenes = 0;
    if (scene_stream_init(&stream, &arena, every > 0 ? every : SCENE_FRAMES) != 0)
        return 1;
    for (int ended = 0; !ended;) {
        int32_t got = (int32_t)fread(samples, sizeof *samples, sizeof samples / sizeof *samples, stdin);
        if (got == 0) { /* silence, until the first scene is complete */
            if (scenes > 0 || heard == 0)
                break;
            for (; got < (int32_t)(sizeof samples / sizeof *samples); got++)
                samples[got] = 0;
        }
        for (int32_t at = 0; at < got && !ended;) {
            const int32_t taken = scene_stream_push(&stream, samples + at, got - at);
            at += taken;
            heard += taken;
            if (scene_stream_due(&stream)) {
                scenes++;
                ended = (every > 0 ? decide(heard) : show_input()) != 0;
            }
        }
    }
    return 0;
}
