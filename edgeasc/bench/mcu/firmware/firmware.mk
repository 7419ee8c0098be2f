# SPDX-License-Identifier: 0BSD OR Apache-2.0
# Firmware that serves the network of a C folder on a serial line, for `edgeasc bench --target serial:PORT`.
#   MODEL  the C folder of `edgeasc export --c`        BOARD   one of $(BOARDS_AT)/*.mk
#   STREAM no: without the front end from samples
#   BAUD   of the line                                 BOARDS_AT  where boards are, by default beside this file
# The linker script gets the board's memory and refuses what does not fit.
FIRMWARE := $(patsubst %/,%,$(dir $(lastword $(MAKEFILE_LIST))))
BOARDS_AT ?= $(FIRMWARE)/boards
BOARD ?= mps2-an386
BAUD ?= 115200
STACK ?= 8192
BUILD ?= build/$(BOARD)
CROSS ?= arm-none-eabi-
# As `edgeasc bench --target qemu:` compiles what `export --optimise` wrote.
LEVEL_size := -Os
LEVEL_speed := -O3
OPTIMISE ?= $(or $(LEVEL_$(shell sed -n 's/^ *"optimise": "\([a-z]*\)".*/\1/p' $(MODEL)/model.json)),-O2)
STREAM ?= yes
PREFIX := scene

BOARDS := $(sort $(patsubst $(BOARDS_AT)/%.mk,%,$(wildcard $(BOARDS_AT)/*.mk)))
ifeq ($(filter $(BOARD),$(BOARDS)),)
$(error no board '$(BOARD)'; there are: $(BOARDS))
endif
ifeq ($(wildcard $(MODEL)/$(PREFIX).c),)
$(error MODEL='$(MODEL)' is no C folder; write one: edgeasc export MODEL --c --out build, then MODEL=build/c)
endif
include $(BOARDS_AT)/$(BOARD).mk

# How the network rounds is written in its own Makefile.
ROUNDING := $(shell sed -n 's/.*-DEA_ROUNDING=\([12]\).*/\1/p' $(MODEL)/Makefile)
ifeq ($(ROUNDING),)
$(error $(MODEL)/Makefile does not say how the network rounds (-DEA_ROUNDING))
endif

ifneq ($(STREAM)$(wildcard $(MODEL)/$(PREFIX)_stream.h),$(STREAM))
LISTENS := $(if $(filter yes,$(STREAM)),-DFW_STREAM)
endif
NETWORK := $(filter-out %_host.c,$(wildcard $(MODEL)/*.c))
SERVER := $(addprefix $(FIRMWARE)/,startup.c serial/server.c serial/frame.c serial/counter.c)
OBJECTS := $(patsubst $(MODEL)/%.c,$(BUILD)/network/%.o,$(NETWORK)) \
	$(patsubst $(FIRMWARE)/%.c,$(BUILD)/server/%.o,$(SERVER)) $(BUILD)/server/$(BOARD).o
HEADERS := $(wildcard $(MODEL)/*.h $(FIRMWARE)/*.h $(FIRMWARE)/*/*.h $(BOARDS_AT)/*.h)

CFLAGS := $(CPU) $(OPTIMISE) -std=c99 -pedantic -Wall -Wextra -Wconversion -Werror \
	-ffreestanding -ffunction-sections -fdata-sections \
	-DFW_BAUD=$(BAUD) -DEA_ROUNDING=$(ROUNDING) $(LISTENS) -I$(MODEL) -I$(FIRMWARE)/serial
LDFLAGS := $(CPU) -nostdlib -Wl,--gc-sections -T $(FIRMWARE)/link.ld -Wl,--defsym=STACK_LENGTH=$(STACK) \
	$(foreach place,FLASH_ORIGIN FLASH_LENGTH RAM_ORIGIN RAM_LENGTH,-Wl,--defsym=$(place)=$($(place)))

# Objects are made anew where the network, the board or a setting is another than last time.
SETTINGS := $(abspath $(MODEL)) $(shell sed -n 's/.*_BUILD "\(.*\)"/\1/p' $(MODEL)/$(PREFIX).h) $(CROSS) $(CFLAGS) $(LDFLAGS)
ifneq ($(SETTINGS),$(shell cat $(BUILD)/settings 2>/dev/null))
$(shell mkdir -p $(BUILD) && echo '$(SETTINGS)' > $(BUILD)/settings)
endif

.PHONY: firmware boards clean
.DELETE_ON_ERROR:
firmware: $(BUILD)/firmware.bin $(BUILD)/firmware.hex
	$(CROSS)size $(BUILD)/firmware.elf

boards:
	@echo $(BOARDS)

$(BUILD)/firmware.elf: $(OBJECTS) $(FIRMWARE)/link.ld $(BUILD)/settings
	$(CROSS)gcc $(LDFLAGS) -o $@ $(OBJECTS) -lgcc

$(BUILD)/firmware.bin: $(BUILD)/firmware.elf
	$(CROSS)objcopy -O binary $< $@

$(BUILD)/firmware.hex: $(BUILD)/firmware.elf
	$(CROSS)objcopy -O ihex $< $@

$(BUILD)/network/%.o: $(MODEL)/%.c $(HEADERS) $(BUILD)/settings
	@mkdir -p $(dir $@)
	$(CROSS)gcc $(CFLAGS) -include $(FIRMWARE)/count.h -c -o $@ $<

$(BUILD)/server/%.o: $(FIRMWARE)/%.c $(HEADERS) $(BUILD)/settings
	@mkdir -p $(dir $@)
	$(CROSS)gcc $(CFLAGS) -c -o $@ $<

$(BUILD)/server/$(BOARD).o: $(BOARDS_AT)/$(BOARD).c $(HEADERS) $(BUILD)/settings
	@mkdir -p $(dir $@)
	$(CROSS)gcc $(CFLAGS) -c -o $@ $<

clean:
	rm -rf $(BUILD)
