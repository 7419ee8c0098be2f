/* SPDX-License-Identifier: 0BSD OR Apache-2.0 */
/* Arm MPS2 with image AN385, Cortex-M3; also the emulator's machine `mps2-an385`. */
#define UART 0x40004000u /* UART0 */
#include "cmsdk_uart.h"

const char fw_board_name[] = "mps2-an385";

uint32_t fw_board_clock(void)
{
    return 25000000;
}
