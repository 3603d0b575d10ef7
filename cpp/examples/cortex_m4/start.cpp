// Start-up of a Cortex-M4, and its two ways of talking to the debugger that holds it: text and an exit.
// SPDX-License-Identifier: Apache-2.0
#include "board.h"

extern "C" {
extern uint32_t data_start[], data_end[], data_load[], bss_start[], bss_end[], stack_bottom[], stack_top[];
[[noreturn]] void reset();
}

int main();

namespace {

// The numbers of the Arm semihosting interface.
constexpr uint32_t kWriteText = 0x04, kExitExtended = 0x20;
constexpr uint32_t kApplicationExit = 0x20026;
constexpr uint32_t kStackPaint = 0xc0ffee00;

uint32_t semihost(uint32_t operation, const void* argument) {
  register uint32_t r0 __asm__("r0") = operation;
  register const void* r1 __asm__("r1") = argument;
  __asm__ volatile("bkpt 0xab" : "+r"(r0) : "r"(r1) : "memory");
  return r0;
}

[[noreturn]] void fault() {
  print("fault\n");
  finish(3);
}

}  // namespace

void print(const char* text) { (void)semihost(kWriteText, text); }

void print(uint32_t number) {
  char digits[11];
  char* at = digits + sizeof digits - 1;
  *at = 0;
  do {
    *--at = static_cast<char>('0' + number % 10);
    number /= 10;
  } while (number);
  print(at);
}

void finish(int status) {
  const uint32_t block[2] = {kApplicationExit, static_cast<uint32_t>(status)};
  (void)semihost(kExitExtended, block);
  for (;;) {
  }
}

uint32_t stack_bytes_used() {
  const uint32_t* at = stack_bottom;
  while (at < stack_top && *at == kStackPaint) ++at;
  return static_cast<uint32_t>(stack_top - at) * 4;
}

// SysTick counts down: control, reload, current.
static volatile uint32_t* const systick = reinterpret_cast<volatile uint32_t*>(0xe000e010);

void start_ticks() {
  systick[1] = 0xffffff;
  systick[2] = 0;
  systick[0] = 5;  // on, by the processor's clock
}
uint32_t ticks() { return 0xffffff - systick[2]; }

void loop(uint32_t turns) { __asm__ volatile(".align 2\n1: subs %0, #1\nbne 1b" : "+l"(turns) : : "cc"); }

void reset() {
  // The floating-point unit is off after a reset: CPACR gives access to coprocessors 10 and 11.
  *reinterpret_cast<volatile uint32_t*>(0xe000ed88) |= 0xfu << 20;
  __asm__ volatile("dsb\nisb");
  for (uint32_t *to = data_start, *from = data_load; to < data_end;) *to++ = *from++;
  for (uint32_t* at = bss_start; at < bss_end;) *at++ = 0;
  const uint32_t* stack_pointer;
  __asm__ volatile("mov %0, sp" : "=r"(stack_pointer));
  for (volatile uint32_t* at = stack_bottom; at < stack_pointer; ++at) *at = kStackPaint;
  finish(main());
}

__attribute__((section(".vectors"), used)) static const void* const vectors[16] = {
    stack_top,
    reinterpret_cast<const void*>(reset),
    reinterpret_cast<const void*>(fault),
    reinterpret_cast<const void*>(fault),
    reinterpret_cast<const void*>(fault),
    reinterpret_cast<const void*>(fault),
    reinterpret_cast<const void*>(fault),
};
