# SPDX-License-Identifier: 0BSD OR Apache-2.0
CPU := -mcpu=cortex-m4 -mthumb -mfloat-abi=hard -mfpu=fpv4-sp-d16
FLASH_ORIGIN := 0x08000000
FLASH_LENGTH := 1024K
RAM_ORIGIN := 0x20000000
RAM_LENGTH := 128K
