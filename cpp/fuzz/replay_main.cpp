// Runs a fuzz target without libFuzzer: over every file of a folder, and over changed copies of each.
// SPDX-License-Identifier: Apache-2.0
// Usage: replay [--mutate COUNT] FOLDER_OR_FILE...
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <algorithm>
#include <filesystem>
#include <string>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size);

namespace {

using Bytes = std::vector<uint8_t>;

uint64_t random_state = 0x9e3779b97f4a7c15u;
uint32_t next_random() {
  random_state ^= random_state << 13;
  random_state ^= random_state >> 7;
  random_state ^= random_state << 17;
  return static_cast<uint32_t>(random_state >> 32);
}

Bytes read(const std::filesystem::path& path) {
  Bytes bytes(std::filesystem::file_size(path));
  FILE* file = fopen(path.string().c_str(), "rb");
  if (!file || fread(bytes.data(), 1, bytes.size(), file) != bytes.size()) abort();
  fclose(file);
  return bytes;
}

// One to four changes: a bit, a byte, a word of an interesting number, a copied or removed stretch.
void change(Bytes* bytes) {
  const uint32_t numbers[] = {0, 1, 2, 3, 4, 16, 64, 255, 4096, 0x7fffffff, 0x80000000, 0xffffffff};
  for (uint32_t changes = 1 + next_random() % 4; changes > 0 && bytes->size() >= 64; --changes) {
    // Half of them among the tables, where the structure is.
    const size_t span = next_random() % 2 ? bytes->size() : std::min<size_t>(bytes->size(), 1400);
    const size_t at = next_random() % span;
    const size_t word = at / 4 * 4;
    switch (next_random() % 6) {
      case 0: (*bytes)[at] = static_cast<uint8_t>((*bytes)[at] ^ 1u << next_random() % 8); break;
      case 1: (*bytes)[at] = static_cast<uint8_t>(next_random()); break;
      case 2:
      case 3: {
        const uint32_t number = numbers[next_random() % 12];
        if (word + 4 <= bytes->size()) memcpy(bytes->data() + word, &number, 4);
        break;
      }
      case 4: {
        const size_t to = next_random() % span / 4 * 4,
                     length = std::min<size_t>(64, bytes->size() - std::max(word, to));
        memmove(bytes->data() + to, bytes->data() + word, length);
        break;
      }
      default: bytes->resize(bytes->size() - std::min<size_t>(bytes->size() - 64, 64 * (next_random() % 3))); break;
    }
  }
}

}  // namespace

int main(int argc, char** argv) {
  long mutations = 0, runs = 0;
  std::vector<std::filesystem::path> files;
  for (int i = 1; i < argc; ++i) {
    if (strcmp(argv[i], "--mutate") == 0 && i + 1 < argc) {
      mutations = strtol(argv[++i], nullptr, 10);
    } else if (std::filesystem::is_directory(argv[i])) {
      for (const auto& entry : std::filesystem::directory_iterator(argv[i])) files.push_back(entry.path());
    } else {
      files.emplace_back(argv[i]);
    }
  }
  std::sort(files.begin(), files.end());
  for (const std::filesystem::path& path : files) {
    const Bytes seed = read(path);
    (void)LLVMFuzzerTestOneInput(seed.data(), seed.size());
    ++runs;
    for (long i = 0; i < mutations; ++i, ++runs) {
      Bytes changed = seed;
      change(&changed);
      (void)LLVMFuzzerTestOneInput(changed.data(), changed.size());
    }
  }
  printf("%zu files, %ld runs: ok\n", files.size(), runs);
  return files.empty() ? 1 : 0;
}
