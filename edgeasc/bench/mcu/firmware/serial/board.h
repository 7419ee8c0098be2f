/* SPDX-License-Identifier: 0BSD OR Apache-2.0 */
/* What a board has to bring: its name, its clock, and bytes in and out of a serial line. One file in boards/ each. */
#ifndef FW_BOARD_H
#define FW_BOARD_H

#include <stdint.h>

extern const char fw_board_name[];

/* Clock, pins and line; called once, with interrupts off as after reset. */
void fw_board_init(uint32_t baud);

/* Core clock in Hz after `fw_board_init`, 0 where unknown. */
uint32_t fw_board_clock(void);

/* The next byte, or -1 where none has come. */
int fw_board_receive(void);

/* Waits until the line takes the byte. */
void fw_board_send(uint8_t byte);

#endif
