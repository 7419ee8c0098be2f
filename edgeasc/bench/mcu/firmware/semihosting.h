/* SPDX-License-Identifier: 0BSD OR Apache-2.0 */
/* Files and exit of the emulator, by semihosting. */
#ifndef SEMIHOSTING_H
#define SEMIHOSTING_H

#include <stdint.h>

enum { SH_OPEN = 1, SH_CLOSE = 2, SH_WRITE = 5, SH_READ = 6, SH_EXIT_EXTENDED = 0x20 };
enum { SH_READ_BINARY = 1, SH_WRITE_BINARY = 5 };

static inline int32_t sh_call(uint32_t operation, const void *arguments)
{
    register uint32_t r0 __asm("r0") = operation;
    register const void *r1 __asm("r1") = arguments;
    __asm volatile("bkpt 0xAB" : "+r"(r0) : "r"(r1) : "memory");
    return (int32_t)r0;
}

static inline int32_t sh_open(const char *name, uint32_t length, uint32_t mode)
{
    const uint32_t arguments[3] = {(uint32_t)(uintptr_t)name, mode, length};
    return sh_call(SH_OPEN, arguments);
}

/* Bytes that were not read or written. */
static inline int32_t sh_transfer(uint32_t operation, int32_t file, const void *data, uint32_t bytes)
{
    const uint32_t arguments[3] = {(uint32_t)file, (uint32_t)(uintptr_t)data, bytes};
    return sh_call(operation, arguments);
}

/* Ends the emulator with this exit code. */
static inline void sh_exit(int status)
{
    const uint32_t arguments[2] = {0x20026u, (uint32_t)status};
    sh_call(SH_EXIT_EXTENDED, arguments);
    for (;;) {
    }
}

#endif
