/* SPDX-License-Identifier: Apache-2.0
   A program of Linux without a C library, for emulators of a processor alone: system calls by hand. */
#include "board.h"

#if defined(__aarch64__)
static long call(long number, long a, long b, long c) {
  register long x8 __asm__("x8") = number;
  register long x0 __asm__("x0") = a;
  register long x1 __asm__("x1") = b;
  register long x2 __asm__("x2") = c;
  __asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2) : "memory");
  return x0;
}
#define WRITE 64
#define LEAVE 93
__asm__(".globl _start\n_start: bl begin\n");
#elif defined(__arm__)
static long call(long number, long a, long b, long c) {
  register long r7 __asm__("r7") = number;
  register long r0 __asm__("r0") = a;
  register long r1 __asm__("r1") = b;
  register long r2 __asm__("r2") = c;
  __asm__ volatile("svc 0" : "+r"(r0) : "r"(r7), "r"(r1), "r"(r2) : "memory");
  return r0;
}
#define WRITE 4
#define LEAVE 1
__asm__(".globl _start\n.arm\n_start: bl begin\n");
#else
static long call(long number, long a, long b, long c) {
  long result;
  __asm__ volatile("int $0x80" : "=a"(result) : "a"(number), "b"(a), "c"(b), "d"(c) : "memory");
  return result;
}
#define WRITE 4
#define LEAVE 1
__asm__(".globl _start\n_start: andl $-16, %esp\n call begin\n");
#endif

void print(const char *text) {
  const char *end = text;
  while (*end) ++end;
  (void)call(WRITE, 1, (long)text, (long)(end - text));
}

void finish(int status) {
  (void)call(LEAVE, status, 0, 0);
  for (;;) {
  }
}

/* Nobody counts here. */
uint64_t instructions(void) { return 0; }
void spend(uint32_t thousands) { (void)thousands; }
uint32_t stack_bytes_used(void) { return 0; }

__attribute__((used)) void begin(void) { finish(main()); }
