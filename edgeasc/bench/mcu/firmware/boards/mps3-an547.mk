# SPDX-License-Identifier: 0BSD OR Apache-2.0
CPU := -mcpu=cortex-m55 -mthumb -mfloat-abi=hard
FLASH_ORIGIN := 0x00000000
FLASH_LENGTH := 512K
RAM_ORIGIN := 0x21000000
RAM_LENGTH := 4M
