/* SPDX-License-Identifier: 0BSD OR Apache-2.0 */
/* Frames on a serial line: "EA", type, sequence, length (2 bytes, low first), payload, CRC-32 of all between "EA" and
 * itself (4 bytes, low first; the polynomial of Ethernet and zlib). */
#ifndef FW_FRAME_H
#define FW_FRAME_H

#include <stdint.h>

enum { FW_PAYLOAD = 512, FW_FRAME_HEAD = 4, FW_FRAME_TAIL = 4 };

typedef struct {
    uint8_t type;
    uint8_t sequence;
    uint16_t length;
    uint8_t payload[FW_PAYLOAD];
} fw_frame;

/* A frame that is coming in, byte by byte. All zero at the beginning. */
typedef struct {
    fw_frame frame;
    uint32_t crc;      /* of what has come */
    uint32_t expected; /* as far as it has come */
    uint16_t count;    /* bytes that have come, "EA" included */
} fw_parser;

/* Whether `byte` completes a frame whose checksum is right; it is then in `parser->frame`. Anything else is dropped. */
int fw_parse(fw_parser *parser, uint8_t byte);

void fw_send_frame(uint8_t type, uint8_t sequence, const void *payload, uint16_t length);

#endif
