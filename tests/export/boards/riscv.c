/* SPDX-License-Identifier: Apache-2.0
   Start-up of QEMU's virt machine with a RISC-V core: its UART, its way out, and minstret. */
#include "board.h"

__asm__(".option arch, +zicsr");

extern uint32_t bss_start[], bss_end[], stack_top[];
void paint_stack(const uint32_t *end);

#define UART (*(volatile uint8_t *)0x10000000u)
#define EXIT (*(volatile uint32_t *)0x00100000u)

void print(const char *text) {
  for (; *text; ++text) UART = (uint8_t)*text;
}

void finish(int status) {
  EXIT = status ? (uint32_t)status << 16 | 0x3333u : 0x5555u;
  for (;;) {
  }
}

uint64_t instructions(void) {
#if __riscv_xlen == 64
  uint64_t count;
  __asm__ volatile("csrr %0, minstret" : "=r"(count));
  return count;
#else
  uint32_t low, high, again;
  do {
    __asm__ volatile("csrr %0, minstreth" : "=r"(high));
    __asm__ volatile("csrr %0, minstret" : "=r"(low));
    __asm__ volatile("csrr %0, minstreth" : "=r"(again));
  } while (high != again);
  return (uint64_t)high << 32 | low;
#endif
}

void spend(uint32_t thousands) {
  unsigned long left = (unsigned long)thousands * 500u;
  __asm__ volatile("1: addi %0, %0, -1\n bnez %0, 1b" : "+r"(left));
}

__attribute__((used, noreturn)) void begin(void) {
  uint32_t *at;
  const uint32_t *stack_pointer;
  for (at = bss_start; at < bss_end;) *at++ = 0;
  __asm__ volatile("mv %0, sp" : "=r"(stack_pointer));
  paint_stack(stack_pointer);
  finish(main());
  for (;;) {
  }
}

__asm__(
    ".section .vectors, \"ax\"\n"
    ".globl reset\n"
    "reset:\n"
    "la sp, stack_top\n"
#if defined(__riscv_flen)
    "li t0, 0x2000\n"
    "csrs mstatus, t0\n"
    "csrw fcsr, zero\n"
#endif
    "j begin\n"
    ".text\n");
