/* SPDX-License-Identifier: 0BSD OR Apache-2.0 */
/* From samples to scenes: a ring of samples, a ring of frames, the front end, the network. */
#include "scene_stream.h"

#include "ea_frontend.h"
#include "weights.h"

static const ea_frontend front = {
    SCENE_LOG2_FFT, SCENE_WIN_LENGTH, SCENE_WINDOW_SHIFT, SCENE_MELS,  SCENE_FIRST_BIN, SCENE_FLOOR_SHIFT, fe_window,
    fe_cosine,      fe_bins,          fe_slope,           fe_lean,     fe_floor,        fe_offset,         fe_logarithm,
};

int scene_stream_init(scene_stream *stream, void *arena, int32_t interval)
{
    if (!stream || interval < 1 || scene_init(arena) != 0)
        return -1;
    stream->arena = arena;
    stream->oldest = 0;
    stream->wait = SCENE_FIRST_FRAME_SAMPLES;
    stream->frame = 0;
    stream->until = SCENE_FRAMES;
    stream->interval = interval;
    for (int32_t i = 0; i < SCENE_WIN_LENGTH; i++)
        stream->samples[i] = 0;
    return 0;
}

static void hear_frame(scene_stream *stream)
{
    int32_t *spectrum = stream->arena;
    int16_t *levels = (int16_t *)(spectrum + ((int32_t)1 << SCENE_LOG2_FFT));
    int8_t *heard = stream->history + stream->frame * SCENE_MELS;
    ea_spectrum(&front, stream->samples, stream->oldest, spectrum);
    ea_mel_levels(&front, spectrum, levels);
    for (int32_t mel = 0; mel < SCENE_MELS; mel++)
        heard[mel] = ea_level_to_int8(levels[mel], fe_thresholds);
    stream->frame = stream->frame + 1 == SCENE_FRAMES ? 0 : stream->frame + 1;
    stream->wait = SCENE_HOP_LENGTH;
    stream->until--;
}

int32_t scene_stream_push(scene_stream *stream, const int16_t *samples, int32_t count)
{
    int32_t taken = 0;
    while (taken < count && stream->until > 0) {
        int32_t some = SCENE_WIN_LENGTH - stream->oldest;
        some = some < stream->wait ? some : stream->wait;
        some = some < count - taken ? some : count - taken;
        int16_t *place = stream->samples + stream->oldest;
        for (int32_t i = 0; i < some; i++)
            place[i] = samples[taken + i];
        stream->oldest = stream->oldest + some == SCENE_WIN_LENGTH ? 0 : stream->oldest + some;
        stream->wait -= some;
        taken += some;
        if (stream->wait == 0)
            hear_frame(stream);
    }
    return taken;
}

int scene_stream_due(const scene_stream *stream)
{
    return stream->until == 0;
}

int scene_stream_run(scene_stream *stream)
{
    int8_t *input = scene_input(stream->arena);
    int32_t slot = stream->frame; /* the oldest frame */
    for (int32_t t = 0; t < SCENE_FRAMES; t++) {
        const int8_t *heard = stream->history + slot * SCENE_MELS;
        for (int32_t mel = 0; mel < SCENE_MELS; mel++)
            input[mel * SCENE_FRAMES + t] = heard[mel];
        slot = slot + 1 == SCENE_FRAMES ? 0 : slot + 1;
    }
    scene_run(stream->arena);
    stream->until = stream->interval;
    return ea_argmax(scene_output(stream->arena), SCENE_CLASSES);
}
