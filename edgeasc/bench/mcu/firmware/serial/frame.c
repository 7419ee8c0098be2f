/* SPDX-License-Identifier: 0BSD OR Apache-2.0 */
#include "frame.h"

#include "board.h"

enum { MAGIC_BYTES = 2, BODY = MAGIC_BYTES + FW_FRAME_HEAD };

static uint32_t crc_step(uint32_t crc, uint8_t byte)
{
    crc ^= byte;
    for (int bit = 0; bit < 8; bit++)
        crc = (crc >> 1) ^ (0xEDB88320u & (0u - (crc & 1u)));
    return crc;
}

static void begin(fw_parser *parser, uint8_t byte)
{
    parser->count = byte == 'E' ? 1 : 0;
    parser->crc = 0xFFFFFFFFu;
    parser->expected = 0;
}

static void head(fw_parser *parser, uint8_t byte)
{
    fw_frame *const frame = &parser->frame;
    switch (parser->count) {
    case 2:
        frame->type = byte;
        break;
    case 3:
        frame->sequence = byte;
        break;
    case 4:
        frame->length = byte;
        break;
    default:
        frame->length = (uint16_t)(frame->length | (byte << 8));
        break;
    }
}

int fw_parse(fw_parser *parser, uint8_t byte)
{
    fw_frame *const frame = &parser->frame;
    if (parser->count < MAGIC_BYTES) {
        if (parser->count == 1 && byte == 'A')
            parser->count = 2;
        else
            begin(parser, byte);
        return 0;
    }
    const int place = parser->count - BODY;
    if (place < 0)
        head(parser, byte);
    else if (place < frame->length)
        frame->payload[place] = byte;
    parser->count++;
    if (place < frame->length || place < 0) {
        parser->crc = crc_step(parser->crc, byte);
        if (place == -1 && frame->length > FW_PAYLOAD)
            begin(parser, 0);
        return 0;
    }
    const int tail = place - frame->length;
    parser->expected |= (uint32_t)byte << (8 * tail);
    if (tail < FW_FRAME_TAIL - 1)
        return 0;
    const int right = parser->expected == ~parser->crc;
    begin(parser, 0);
    return right;
}

static uint32_t send(uint32_t crc, const uint8_t *bytes, uint16_t count)
{
    for (uint16_t i = 0; i < count; i++) {
        fw_board_send(bytes[i]);
        crc = crc_step(crc, bytes[i]);
    }
    return crc;
}

void fw_send_frame(uint8_t type, uint8_t sequence, const void *payload, uint16_t length)
{
    const uint8_t first[FW_FRAME_HEAD] = {type, sequence, (uint8_t)length, (uint8_t)(length >> 8)};
    fw_board_send('E');
    fw_board_send('A');
    uint32_t crc = send(0xFFFFFFFFu, first, FW_FRAME_HEAD);
    crc = ~send(crc, payload, length);
    for (int i = 0; i < FW_FRAME_TAIL; i++)
        fw_board_send((uint8_t)(crc >> (8 * i)));
}
