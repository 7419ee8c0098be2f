/* SPDX-License-Identifier: 0BSD OR Apache-2.0 */
/* STM32F405, Cortex-M4: USART1 on PA9 (out) and PA10 (in), at the 16 MHz that the chip starts with. Registers from ST's
 * RM0090. Run under the emulator's `netduinoplus2`, which has the USART but neither clocks nor pins. */
#include "board.h"

#define REGISTER(address) (*(volatile uint32_t *)(address))
#define RCC_AHB1ENR REGISTER(0x40023830u)
#define RCC_APB2ENR REGISTER(0x40023844u)
#define GPIOA_MODER REGISTER(0x40020000u)
#define GPIOA_AFRH REGISTER(0x40020024u)
#define USART_SR REGISTER(0x40011000u)
#define USART_DR REGISTER(0x40011004u)
#define USART_BRR REGISTER(0x40011008u)
#define USART_CR1 REGISTER(0x4001100Cu)

enum { HSI_HZ = 16000000, RXNE = 1 << 5, TXE = 1 << 7, UE = 1 << 13, TE = 1 << 3, RE = 1 << 2 };

const char fw_board_name[] = "stm32f405";

uint32_t fw_board_clock(void)
{
    return HSI_HZ;
}

void fw_board_init(uint32_t baud)
{
    RCC_AHB1ENR |= 1u;                                                             /* GPIOA */
    RCC_APB2ENR |= 1u << 4;                                                        /* USART1 */
    GPIOA_MODER = (GPIOA_MODER & ~(0xFu << 18)) | (0xAu << 18);                    /* PA9, PA10: alternate */
    GPIOA_AFRH = (GPIOA_AFRH & ~(0xFFu << 4)) | (0x77u << 4);                      /* function 7, USART1 */
    USART_BRR = (HSI_HZ + baud / 2) / baud;
    USART_CR1 = UE | TE | RE;
}

int fw_board_receive(void)
{
    return USART_SR & RXNE ? (int)(USART_DR & 0xFFu) : -1;
}

void fw_board_send(uint8_t byte)
{
    while (!(USART_SR & TXE)) {
    }
    USART_DR = byte;
}
