/* SPDX-License-Identifier: 0BSD OR Apache-2.0 */
/* Vector table and reset of a Cortex-M without libc: copies .data, clears .bss, paints the stack, calls main. */
#include <stdint.h>

extern uint32_t fw_stack_bottom[], fw_stack_top[], fw_data_load[], fw_data_start[], fw_data_end[];
extern uint32_t fw_bss_start[], fw_bss_end[];

int main(void);
void fw_exit(int status);
void fw_reset(void);
void fw_fault(void);

enum { FAULT_STATUS = 99 };

void fw_fault(void)
{
    fw_exit(FAULT_STATUS);
}

__attribute__((naked)) void fw_reset(void)
{
    __asm volatile("ldr r0, =fw_stack_top\n"
                   "mov sp, r0\n"
                   "b fw_start\n");
}

__attribute__((used, noreturn, section(".text.fw_start"))) void fw_start(void)
{
#if defined(__ARM_FP) || defined(__ARM_FEATURE_MVE)
    *(volatile uint32_t *)0xE000ED88u |= 0xFu << 20; /* CPACR: floating point and MVE on */
    __asm volatile("dsb\nisb\n");
#endif
    volatile uint32_t *p = fw_stack_bottom;
    uint32_t *here;
    __asm volatile("mov %0, sp" : "=r"(here));
    while (p < here - 16)
        *p++ = 0xA5A5A5A5u;
    const uint32_t *from = fw_data_load;
    for (uint32_t *to = fw_data_start; to < fw_data_end;)
        *to++ = *from++;
    for (uint32_t *to = fw_bss_start; to < fw_bss_end;)
        *to++ = 0;
    fw_exit(main());
    for (;;) {
    }
}

__attribute__((used, section(".vectors"))) const uint32_t *const fw_vectors[16] = {
    fw_stack_top,
    (const uint32_t *)(uintptr_t)fw_reset,
    (const uint32_t *)(uintptr_t)fw_fault,
    (const uint32_t *)(uintptr_t)fw_fault,
    (const uint32_t *)(uintptr_t)fw_fault,
    (const uint32_t *)(uintptr_t)fw_fault,
    (const uint32_t *)(uintptr_t)fw_fault,
    (const uint32_t *)(uintptr_t)fw_fault,
};

/* What the compiler may call without libc. */
void *memcpy(void *to, const void *from, __SIZE_TYPE__ count);
void *memset(void *to, int value, __SIZE_TYPE__ count);

__attribute__((used)) void *memcpy(void *to, const void *from, __SIZE_TYPE__ count)
{
    unsigned char *d = to;
    const unsigned char *s = from;
    while (count--)
        *d++ = *s++;
    return to;
}

__attribute__((used)) void *memset(void *to, int value, __SIZE_TYPE__ count)
{
    unsigned char *d = to;
    while (count--)
        *d++ = (unsigned char)value;
    return to;
}
