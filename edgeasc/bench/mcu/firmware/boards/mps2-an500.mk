# SPDX-License-Identifier: 0BSD OR Apache-2.0
CPU := -mcpu=cortex-m7 -mthumb -mfloat-abi=hard -mfpu=fpv5-sp-d16
FLASH_ORIGIN := 0x00000000
FLASH_LENGTH := 4M
RAM_ORIGIN := 0x60000000
RAM_LENGTH := 16M
