/* SPDX-License-Identifier: 0BSD OR Apache-2.0 */
/* Arm MPS3 with image AN547 (Corstone-300), Cortex-M55; also the emulator's machine `mps3-an547`. */
#define UART 0x59303000u /* UART0, by its secure address */
#include "cmsdk_uart.h"

const char fw_board_name[] = "mps3-an547";

uint32_t fw_board_clock(void)
{
    return 32000000;
}
