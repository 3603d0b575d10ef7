/* SPDX-License-Identifier: Apache-2.0
   The part that all boards share: numbers as text, and what a compiler may call by itself. */
#include <stddef.h>

#include "board.h"

void print_number(uint32_t number) {
  char digits[11];
  char* at = digits + sizeof digits - 1;
  *at = 0;
  do {
    *--at = (char)('0' + number % 10);
    number /= 10;
  } while (number);
  print(at);
}

/* Keeps gcc at -O2 from seeing that a loop is a memset, and calling that, which is here. */
#define NO_CALL __asm__ volatile("" : : : "memory")

/* In words where that can be, as a library for such machines does it. */
void* memcpy(void* to, const void* from, size_t bytes) {
  unsigned char* t = (unsigned char*)to;
  const unsigned char* f = (const unsigned char*)from;
  if ((((uintptr_t)t | (uintptr_t)f) & 3u) == 0) {
    for (; bytes >= 4; bytes -= 4, t += 4, f += 4) {
      *(uint32_t*)t = *(const uint32_t*)f;
      NO_CALL;
    }
  }
  for (; bytes; --bytes) {
    *t++ = *f++;
    NO_CALL;
  }
  return to;
}

void* memset(void* to, int value, size_t bytes) {
  unsigned char* t = (unsigned char*)to;
  const uint32_t word = (uint32_t)(unsigned char)value * 0x01010101u;
  if (((uintptr_t)t & 3u) == 0) {
    for (; bytes >= 4; bytes -= 4, t += 4) {
      *(uint32_t*)t = word;
      NO_CALL;
    }
  }
  for (; bytes; --bytes) {
    *t++ = (unsigned char)value;
    NO_CALL;
  }
  return to;
}

void* memmove(void* to, const void* from, size_t bytes) {
  unsigned char* t = (unsigned char*)to;
  const unsigned char* f = (const unsigned char*)from;
  if (t <= f) return memcpy(to, from, bytes);
  while (bytes) {
    --bytes;
    t[bytes] = f[bytes];
    NO_CALL;
  }
  return to;
}

int memcmp(const void* a, const void* b, size_t bytes) {
  const unsigned char *x = (const unsigned char*)a, *y = (const unsigned char*)b;
  for (; bytes; --bytes, ++x, ++y) {
    if (*x != *y) return *x < *y ? -1 : 1;
  }
  return 0;
}
