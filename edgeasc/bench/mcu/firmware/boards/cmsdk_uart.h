/* SPDX-License-Identifier: 0BSD OR Apache-2.0 */
/* The CMSDK APB UART of Arm's MPS2 and MPS3 images, from Arm DDI 0479, section 4.3. Define UART before including. */
#ifndef CMSDK_UART_H
#define CMSDK_UART_H

#include "board.h"

#define UART_DATA (*(volatile uint32_t *)(UART + 0x00u))
#define UART_STATE (*(volatile uint32_t *)(UART + 0x04u))
#define UART_CONTROL (*(volatile uint32_t *)(UART + 0x08u))
#define UART_DIVIDER (*(volatile uint32_t *)(UART + 0x10u))

enum { UART_TX_FULL = 1, UART_RX_FULL = 2, UART_TX_ENABLE = 1, UART_RX_ENABLE = 2, UART_HZ = 25000000 };

void fw_board_init(uint32_t baud)
{
    const uint32_t divider = UART_HZ / baud;
    UART_DIVIDER = divider < 16 ? 16 : divider; /* the least that the UART takes */
    UART_CONTROL = UART_TX_ENABLE | UART_RX_ENABLE;
}

int fw_board_receive(void)
{
    return UART_STATE & UART_RX_FULL ? (int)(UART_DATA & 0xFFu) : -1;
}

void fw_board_send(uint8_t byte)
{
    while (UART_STATE & UART_TX_FULL) {
    }
    UART_DATA = byte;
}

#endif
