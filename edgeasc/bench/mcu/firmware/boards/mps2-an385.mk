# SPDX-License-Identifier: 0BSD OR Apache-2.0
CPU := -mcpu=cortex-m3 -mthumb
FLASH_ORIGIN := 0x00000000
FLASH_LENGTH := 4M
RAM_ORIGIN := 0x21000000
RAM_LENGTH := 16M
