/* SPDX-License-Identifier: Apache-2.0
   Start-up of a Cortex-M and its ways of talking to the debugger that holds it; SysTick counts. */
#include "board.h"

extern uint32_t data_start[], data_end[], data_load[], bss_start[], bss_end[], stack_top[];
void paint_stack(const uint32_t *end);
void reset(void);

#define WRITE_TEXT 0x04u
#define EXIT_EXTENDED 0x20u
#define APPLICATION_EXIT 0x20026u
#define REGISTER(address) (*(volatile uint32_t *)(address))
#define CPACR REGISTER(0xe000ed88u)
#define SYST_CSR REGISTER(0xe000e010u)
#define SYST_RVR REGISTER(0xe000e014u)
#define SYST_CVR REGISTER(0xe000e018u)

static uint32_t semihost(uint32_t operation, const void *argument) {
  register uint32_t r0 __asm__("r0") = operation;
  register const void *r1 __asm__("r1") = argument;
  __asm__ volatile("bkpt 0xab" : "+r"(r0) : "r"(r1) : "memory");
  return r0;
}

void print(const char *text) { (void)semihost(WRITE_TEXT, text); }

void finish(int status) {
  uint32_t block[2];
  block[0] = APPLICATION_EXIT;
  block[1] = (uint32_t)status;
  (void)semihost(EXIT_EXTENDED, block);
  for (;;) {
  }
}

/* A tick of SysTick is TICK_PICOSECONDS; -icount shift=0 gives each instruction a nanosecond. Counts down from 2^24. */
uint64_t instructions(void) {
  static uint32_t turns, last = 0xffffffu;
  const uint32_t now = SYST_CVR;
  if (now > last) ++turns;
  last = now;
  return ((uint64_t)turns << 24 | (0xffffffu - now)) * (TICK_PICOSECONDS) / 1000u;
}

void spend(uint32_t thousands) {
  uint32_t left = thousands * 500u;
  __asm__ volatile(".syntax unified\n1: subs %0, %0, #1\n bne 1b" : "+l"(left) : : "cc");
}

static void fault(void) {
  print("fault\n");
  finish(3);
}

void reset(void) {
  uint32_t *to, *at;
  const uint32_t *from = data_load, *stack_pointer;
#if defined(__ARM_FP) || defined(__ARM_FEATURE_MVE)
  CPACR |= 0xfu << 20;
  __asm__ volatile("dsb\nisb");
#endif
  for (to = data_start; to < data_end;) *to++ = *from++;
  for (at = bss_start; at < bss_end;) *at++ = 0;
  __asm__ volatile("mov %0, sp" : "=r"(stack_pointer));
  paint_stack(stack_pointer);
  SYST_RVR = 0xffffffu;
  SYST_CVR = 0;
  SYST_CSR = 5;
  finish(main());
}

typedef struct {
  uint32_t *stack;
  void (*handlers[15])(void);
} vector_table;

__attribute__((section(".vectors"), used)) static const vector_table vectors = {
    stack_top, {reset, fault, fault, fault, fault, fault}};
