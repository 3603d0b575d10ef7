// CHECK macros for test programs: count and print failures; `return grucore_test::finish(name)` ends main.
// SPDX-License-Identifier: Apache-2.0
#ifndef GRUCORE_TESTS_CHECK_H_
#define GRUCORE_TESTS_CHECK_H_

#include <cstdarg>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <type_traits>

namespace grucore_test {

// Sanitizers take their time for each operation, and see in a few frames all that they see in many.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool kSanitized = true;
#else
constexpr bool kSanitized = false;
#endif

constexpr long kMostPrinted = 30;

inline long checks = 0;
inline long failures = 0;

inline bool count(bool passed, const char* file, int line, const char* text) {
  ++checks;
  if (!passed && ++failures <= kMostPrinted) std::printf("%s:%d: failed: %s", file, line, text);
  return !passed && failures <= kMostPrinted;  // whether the caller may print its values
}

inline bool check(bool passed, const char* file, int line, const char* text) {
  if (count(passed, file, line, text)) std::printf("\n");
  return passed;
}

#if defined(__GNUC__)
__attribute__((format(printf, 5, 6)))
#endif
inline bool
check_saying(bool passed, const char* file, int line, const char* text, const char* format, ...) {
  if (count(passed, file, line, text)) {
    std::va_list values;
    va_start(values, format);
    std::printf("  ");
    std::vprintf(format, values);
    std::printf("\n");
    va_end(values);
  }
  return passed;
}

template <class T>
void print_value(const char* label, const T& value) {
  if constexpr (std::is_same_v<T, bool>) {
    std::printf("  %s %s", label, value ? "true" : "false");
  } else if constexpr (std::is_floating_point_v<T>) {
    std::printf("  %s %.9g (%a)", label, static_cast<double>(value), static_cast<double>(value));
  } else if constexpr (std::is_enum_v<T>) {
    std::printf("  %s %lld", label, static_cast<long long>(value));
  } else if constexpr (std::is_integral_v<T> && std::is_unsigned_v<T>) {
    std::printf("  %s %llu", label, static_cast<unsigned long long>(value));
  } else if constexpr (std::is_integral_v<T>) {
    std::printf("  %s %lld", label, static_cast<long long>(value));
  } else {
    std::printf("  %s ?", label);
  }
}

inline void print_value(const char* label, const char* value) { std::printf("  %s \"%s\"", label, value); }

inline uint32_t float_bits(float x) {
  uint32_t word;
  std::memcpy(&word, &x, sizeof word);
  return word;
}

// The same bits, or both NaN: NaN's sign and payload differ between machines.
inline bool same_float(float a, float b) { return float_bits(a) == float_bits(b) || (a != a && b != b); }

inline void note(const char* context) {
  if (failures <= kMostPrinted) std::printf("    in %s\n", context);
}

inline int finish(const char* name) {
  if (failures > kMostPrinted) std::printf("... and %ld more failures\n", failures - kMostPrinted);
  std::printf("%s: %ld checks, %ld failed: %s\n", name, checks, failures, failures == 0 ? "ok" : "FAILED");
  return failures == 0 ? 0 : 1;
}

}  // namespace grucore_test

// Gives whether it passed, so that a test can leave where going on makes no sense.
#define CHECK(condition) grucore_test::check(static_cast<bool>(condition), __FILE__, __LINE__, #condition)

// The same with a printf-style account of the case.
#define CHECK_SAYING(condition, ...) \
  grucore_test::check_saying(static_cast<bool>(condition), __FILE__, __LINE__, #condition, __VA_ARGS__)

#define CHECK_EQ(actual, expected)                                                                 \
  do {                                                                                             \
    const auto& actual_ = (actual);                                                                \
    const auto& expected_ = (expected);                                                            \
    if (grucore_test::count(actual_ == expected_, __FILE__, __LINE__, #actual " == " #expected)) { \
      grucore_test::print_value("actual", actual_);                                                \
      grucore_test::print_value("expected", expected_);                                            \
      std::printf("\n");                                                                           \
    }                                                                                              \
  } while (0)

// Floats bit for bit; any NaN equals any NaN.
#define CHECK_SAME(actual, expected)                                                                        \
  do {                                                                                                      \
    const float actual_ = (actual);                                                                         \
    const float expected_ = (expected);                                                                     \
    if (grucore_test::count(grucore_test::same_float(actual_, expected_), __FILE__, __LINE__,               \
                            #actual " same as " #expected)) {                                               \
      std::printf("  actual %.9g (%08x)  expected %.9g (%08x)\n", static_cast<double>(actual_),             \
                  static_cast<unsigned>(grucore_test::float_bits(actual_)), static_cast<double>(expected_), \
                  static_cast<unsigned>(grucore_test::float_bits(expected_)));                              \
    }                                                                                                       \
  } while (0)

#endif  // GRUCORE_TESTS_CHECK_H_
