/* SPDX-License-Identifier: 0BSD OR Apache-2.0 */
/* The network on a serial line: says which build it is, takes an input, runs, tells logits and what every layer cost;
 * with FW_STREAM also hears samples.
 *
 * The host asks, the board answers, one frame each. A frame whose checksum is wrong gets no answer, and the host asks
 * again with the same sequence number; what was already done under that number is told, not done again, because running
 * overwrites the input and samples would be heard twice. */
#include "board.h"
#include "counter.h"
#include "frame.h"
#include "scene.h"

#ifdef FW_STREAM
#include "scene_stream.h"
enum { ARENA_BYTES = SCENE_STREAM_ARENA_BYTES };
static scene_stream stream;
#else
enum { ARENA_BYTES = SCENE_ARENA_BYTES };
#endif

enum { PROTOCOL = 1, BUILD_DIGITS = sizeof(SCENE_BUILD) - 1 };
enum { HELLO = 1, FEED = 2, RUN = 3, READ = 4, LISTEN = 5, HEAR = 6, DECIDE = 7, ANSWER = 0x80, FAILED = 0xFF };
enum { WHY_UNKNOWN = 1, WHY_RANGE = 2, WHY_FAULT = 3 };
/* Areas that can be read: 0, the logits; 1, the ticks of every layer, 64 bits each; 2, the frames that were heard. */

#ifndef FW_BAUD
#define FW_BAUD 115200
#endif

extern uint32_t fw_stack_bottom[], fw_stack_top[];
extern const unsigned char fw_flash_bytes[]; /* its address is the number */

static __attribute__((aligned(8), section(".arena"))) unsigned char arena[ARENA_BYTES];
static uint64_t ticks[SCENE_LAYERS];
static uint32_t last, calibration;
static uint8_t counter;
static fw_parser parser;

/* The last answer to what must not be done twice. */
static struct {
    int known;
    uint8_t type, sequence, length;
    uint8_t bytes[16];
} told;

void fw_exit(int status);
void fw_after(int layer);

void fw_after(int layer)
{
    ticks[layer] += fw_counter_since(last);
    last = fw_counter_now();
}

static void fail(uint8_t sequence, uint8_t why)
{
    fw_send_frame(FAILED, sequence, &why, 1);
}

/* After a fault or a return from main: says so until reset. */
void fw_exit(int status)
{
    (void)status;
    fail(parser.frame.sequence, WHY_FAULT);
    for (;;) {
    }
}

static uint32_t stack_used(void)
{
    const uint32_t *p = fw_stack_bottom;
    while (p < fw_stack_top && *p == 0xA5A5A5A5u)
        p++;
    return (uint32_t)((uintptr_t)fw_stack_top - (uintptr_t)p);
}

static uint16_t put(uint8_t *to, uint16_t place, uint32_t value, int bytes)
{
    for (int i = 0; i < bytes; i++)
        to[place++] = (uint8_t)(value >> (8 * i));
    return place;
}

static uint32_t get(const uint8_t *from, int bytes)
{
    uint32_t value = 0;
    for (int i = 0; i < bytes; i++)
        value |= (uint32_t)from[i] << (8 * i);
    return value;
}

static uint16_t put_text(uint8_t *to, uint16_t place, const char *text, int most)
{
    for (int i = 0; i < most && text[i]; i++)
        to[place++] = (uint8_t)text[i];
    to[place++] = 0;
    return place;
}

static void hello(const fw_frame *frame)
{
    uint8_t answer[128];
    if (frame->length != 4) {
        fail(frame->sequence, WHY_RANGE);
        return;
    }
    told.known = 0;
    uint16_t n = put(answer, 0, get(frame->payload, 4), 4); /* whose answer this is */
    n = put(answer, n, PROTOCOL, 1);
    n = put(answer, n, counter, 1);
    n = put(answer, n, SCENE_LAYERS, 2);
    n = put(answer, n, SCENE_INPUT_BYTES, 4);
    n = put(answer, n, SCENE_OUTPUT_BYTES, 4);
    n = put(answer, n, SCENE_ARENA_BYTES, 4);
    n = put(answer, n, (uint32_t)(uintptr_t)fw_flash_bytes, 4);
    n = put(answer, n, fw_board_clock(), 4);
    n = put(answer, n, FW_CALIBRATION_LOOPS * FW_CALIBRATION_PER_LOOP, 4);
    n = put(answer, n, calibration, 4);
    n = put_text(answer, n, SCENE_BUILD, BUILD_DIGITS);
    n = put_text(answer, n, fw_board_name, 24);
    n = put_text(answer, n, "gcc " __VERSION__, 24);
    fw_send_frame(HELLO | ANSWER, frame->sequence, answer, n);
}

static void feed(const fw_frame *frame)
{
    const uint32_t offset = frame->length > 4 ? get(frame->payload, 4) : UINT32_MAX;
    const uint32_t count = frame->length - 4u;
    if (offset > SCENE_INPUT_BYTES || count > SCENE_INPUT_BYTES - offset) {
        fail(frame->sequence, WHY_RANGE);
        return;
    }
    int8_t *const input = scene_input(arena) + offset;
    for (uint32_t i = 0; i < count; i++)
        input[i] = (int8_t)frame->payload[4 + i];
    told.known = 0;
    fw_send_frame(FEED | ANSWER, frame->sequence, 0, 0);
}

static void tell(const fw_frame *frame, uint16_t length)
{
    told.known = 1;
    told.type = frame->type;
    told.sequence = frame->sequence;
    told.length = (uint8_t)length;
    fw_send_frame(frame->type | ANSWER, frame->sequence, told.bytes, length);
}

static void clear_ticks(void)
{
    for (int layer = 0; layer < SCENE_LAYERS; layer++)
        ticks[layer] = 0;
    last = fw_counter_now();
}

static void run(const fw_frame *frame)
{
    clear_ticks();
    scene_run(arena);
    tell(frame, put(told.bytes, 0, stack_used(), 4));
}

#ifdef FW_STREAM
static void listen(const fw_frame *frame)
{
    told.known = 0;
    if (scene_stream_init(&stream, arena, SCENE_FRAMES) != 0)
        fail(frame->sequence, WHY_RANGE);
    else
        fw_send_frame(LISTEN | ANSWER, frame->sequence, 0, 0);
}

/* Takes samples up to the next scene; how many, whether one is due, frames that were completed, ticks. */
static void hear(const fw_frame *frame)
{
    static int16_t samples[FW_PAYLOAD / 2];
    const int32_t count = frame->length / 2, until = stream.until;
    if (!stream.arena || frame->length % 2) {
        fail(frame->sequence, WHY_RANGE);
        return;
    }
    for (int32_t i = 0; i < count; i++)
        samples[i] = (int16_t)get(frame->payload + 2 * i, 2);
    const uint32_t start = fw_counter_now();
    const int32_t taken = scene_stream_push(&stream, samples, count);
    const uint32_t spent = fw_counter_since(start);
    uint16_t n = put(told.bytes, 0, (uint32_t)taken, 2);
    n = put(told.bytes, n, (uint32_t)scene_stream_due(&stream), 2);
    n = put(told.bytes, n, (uint32_t)(until - stream.until), 4);
    tell(frame, put(told.bytes, n, spent, 4));
}

static void decide(const fw_frame *frame)
{
    if (!stream.arena || !scene_stream_due(&stream)) {
        fail(frame->sequence, WHY_RANGE);
        return;
    }
    clear_ticks();
    const int scene = scene_stream_run(&stream);
    const uint16_t n = put(told.bytes, 0, stack_used(), 4);
    tell(frame, put(told.bytes, n, (uint32_t)scene, 4));
}
#endif

static void read(const fw_frame *frame)
{
    const uint8_t *const areas[] = {
        (const uint8_t *)scene_output(arena),
        (const uint8_t *)ticks,
#ifdef FW_STREAM
        (const uint8_t *)stream.history,
#endif
    };
    const uint32_t sizes[] = {
        SCENE_OUTPUT_BYTES,
        sizeof ticks,
#ifdef FW_STREAM
        sizeof stream.history,
#endif
    };
    const uint32_t area = frame->length == 7 ? frame->payload[0] : UINT32_MAX;
    const uint32_t offset = get(frame->payload + 1, 4), count = get(frame->payload + 5, 2);
    if (area >= sizeof sizes / sizeof *sizes || count > FW_PAYLOAD || offset > sizes[area] || count > sizes[area] - offset) {
        fail(frame->sequence, WHY_RANGE);
        return;
    }
    fw_send_frame(READ | ANSWER, frame->sequence, areas[area] + offset, (uint16_t)count);
}

static void answer(const fw_frame *frame)
{
    if (told.known && told.type == frame->type && told.sequence == frame->sequence) {
        fw_send_frame(told.type | ANSWER, told.sequence, told.bytes, told.length);
        return;
    }
    switch (frame->type) {
    case HELLO:
        hello(frame);
        break;
    case FEED:
        feed(frame);
        break;
    case RUN:
        run(frame);
        break;
    case READ:
        read(frame);
        break;
#ifdef FW_STREAM
    case LISTEN:
        listen(frame);
        break;
    case HEAR:
        hear(frame);
        break;
    case DECIDE:
        decide(frame);
        break;
#endif
    default:
        fail(frame->sequence, WHY_UNKNOWN);
        break;
    }
}

int main(void)
{
    fw_board_init(FW_BAUD);
    counter = fw_counter_start();
    calibration = fw_counter_calibrate();
    if (scene_init(arena) != 0)
        return 1;
    for (;;) {
        const int byte = fw_board_receive();
        if (byte >= 0 && fw_parse(&parser, (uint8_t)byte))
            answer(&parser.frame);
    }
}
