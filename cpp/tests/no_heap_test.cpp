// Once a stream stands, nothing allocates: malloc and operator new are counted while everything is called.
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <stdlib.h>

#include <atomic>
#include <new>

#include "harness.h"
#include "portable.h"

namespace {

std::atomic<long> allocations{0};

}  // namespace

#if defined(__has_feature)
#if __has_feature(address_sanitizer) && !defined(__SANITIZE_ADDRESS__)
#define __SANITIZE_ADDRESS__ 1  // as GCC has it
#endif
#endif
#if defined(__SANITIZE_ADDRESS__)
// Declared here because GCC ships the function without its header.
extern "C" int __sanitizer_install_malloc_and_free_hooks(void (*)(const volatile void*, size_t),
                                                         void (*)(const volatile void*));
#define GRUCORE_TEST_COUNTS "sanitizer hooks"
namespace {
void count_allocation(const volatile void*, size_t) { ++allocations; }
void ignore_release(const volatile void*) {}
void start_counting() { (void)__sanitizer_install_malloc_and_free_hooks(count_allocation, ignore_release); }
}  // namespace
#elif defined(__GLIBC__)
#define GRUCORE_TEST_COUNTS "malloc"
extern "C" {
void* __libc_malloc(size_t);
void* __libc_calloc(size_t, size_t);
void* __libc_realloc(void*, size_t);
void* __libc_memalign(size_t, size_t);
void* malloc(size_t size) { return ++allocations, __libc_malloc(size); }
void* calloc(size_t count, size_t size) { return ++allocations, __libc_calloc(count, size); }
void* realloc(void* at, size_t size) { return ++allocations, __libc_realloc(at, size); }
void* memalign(size_t alignment, size_t size) { return ++allocations, __libc_memalign(alignment, size); }
void* aligned_alloc(size_t alignment, size_t size) { return ++allocations, __libc_memalign(alignment, size); }
int posix_memalign(void** at, size_t alignment, size_t size) {
  ++allocations;
  *at = __libc_memalign(alignment, size);
  return *at ? 0 : 12;
}
}
namespace {
void start_counting() {}
}  // namespace
#else
#define GRUCORE_TEST_COUNTS "operator new"
void* operator new(size_t size) {
  ++allocations;
  void* at = malloc(size ? size : 1);
  if (!at) abort();
  return at;
}
void operator delete(void* at) noexcept { free(at); }
void operator delete(void* at, size_t) noexcept { free(at); }
namespace {
void start_counting() {}
}  // namespace
#endif

using namespace grucore_test;

namespace {

constexpr uint32_t kIn = 7, kHidden = 37, kBatch = 6, kFrames = 50;

Bytes file_of(bool reset_before) {
  PortableRandom random(9);
  FileBuilder file;
  const uint32_t x = file.value("x", kIn), a = file.value("a", kHidden), b = file.value("b", kHidden);
  const uint32_t y = file.value("y", 3), last = file.value("last", kHidden, 2);
  file.input(x);
  file.output(y);
  file.output(last);
  file.gru("gru.l0", portable_gru(kIn, kHidden, reset_before, false, &random), x, a);
  file.gru("gru.l1", portable_gru(kHidden, kHidden, reset_before, false, &random), a, b);
  file.dense("linear", portable_floats(3 * kHidden, 1, &random), portable_floats(3, 1, &random), 1, b, y);
  file.take("take", b, last);
  return file.finish();
}

void check_model(const LoadedModel& model, grucore::Nonfinite nonfinite) {
  const OwnedStream owned(model, kBatch, 8, nonfinite);
  grucore::Stream* stream = owned.get();
  PortableRandom random(10);
  std::vector<float> x = portable_floats(size_t{kBatch} * kFrames * kIn, 2, &random);
  x[11] = x[3 * kIn] = NAN;  // the path of held frames too
  std::vector<float> y(size_t{kBatch} * kFrames * 3), last(kBatch * kHidden), state(kHidden);
  for (uint32_t i = 0; i < grucore::state_count(model.get()); ++i) {
    state.resize(std::max<size_t>(state.size(), grucore::state_info(model.get(), i).size));
  }
  const uint32_t rows[] = {0, 2, 5}, lengths[kBatch] = {kFrames, 3, 0, 17, kFrames - 1, kFrames};
  const void* inputs[] = {x.data()};
  void* outputs[] = {y.data(), last.data()};
  const grucore::ConstSignal in = {x.data(), size_t{kFrames} * kIn, kIn};
  const grucore::Signal out[] = {{y.data(), size_t{kFrames} * 3, 3}, {last.data(), kHidden, 0}};

  const long before = allocations;
  for (int i = 0; i < 100; ++i) {
    (void)grucore::step(stream, inputs, outputs);
    (void)grucore::step_rows(stream, inputs, outputs, rows, 3);
  }
  grucore::run(stream, kFrames, &in, out, nullptr);
  grucore::run(stream, kFrames, &in, out, lengths);
  for (uint32_t i = 0; i < grucore::state_count(model.get()); ++i) {
    grucore::get_state(stream, i, 1, state.data());
    grucore::set_state(stream, i, 2, state.data());
  }
  const uint32_t flags = grucore::take_flags(stream);
  grucore::reset_rows(stream, rows, 3);
  grucore::reset(stream);
  const long after = allocations;
  CHECK_EQ(after, before);
  CHECK(flags != 0);
}

}  // namespace

int main() {
  start_counting();
  const long before = allocations;
  const std::vector<float> probe(100);
  CHECK(allocations > before && probe.size() == 100);  // the counter counts
  for (const bool reset_before : {false, true}) {
    const Bytes file = file_of(reset_before);
    for (const Isa isa : supported_isas()) {
      const LoadedModel model(file, isa);
      if (!CHECK(model.status() == Status::kOk)) continue;
      check_model(model, grucore::Nonfinite::kPropagate);
      check_model(model, grucore::Nonfinite::kHold);
    }
  }
  printf("counted: %s\n", GRUCORE_TEST_COUNTS);
  return finish("no_heap_test");
}
