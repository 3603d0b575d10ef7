// Mono WAV files: reads 16-bit integers and 32-bit floats, writes floats.
// SPDX-License-Identifier: Apache-2.0
#ifndef GRUCORE_EXAMPLES_AUDIO_WAV_H_
#define GRUCORE_EXAMPLES_AUDIO_WAV_H_

#include <cstdint>
#include <cstring>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <string>
#include <vector>

struct Sound {
  uint32_t rate = 0;  // samples a second
  std::vector<float> samples;
};

// Throws std::runtime_error where a file is none of these.
inline Sound read_wav(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  const std::vector<char> bytes{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  const auto number = [&](size_t at, size_t size) {
    uint32_t value = 0;
    std::memcpy(&value, bytes.data() + at, size);  // the files are little-endian, as every machine that this runs on
    return value;
  };
  const auto refuse = [&](const char* why) { throw std::runtime_error(path + ": " + why); };
  if (bytes.size() < 12 || std::memcmp(bytes.data(), "RIFF", 4) != 0 || std::memcmp(&bytes[8], "WAVE", 4) != 0) {
    refuse("is not a WAV file");
  }
  Sound sound;
  uint32_t format = 0, channels = 0, bits = 0;
  for (size_t at = 12; at + 8 <= bytes.size();) {
    const size_t size = number(at + 4, 4), begin = at + 8;
    if (size > bytes.size() - begin) refuse("ends within a chunk");
    if (std::memcmp(&bytes[at], "fmt ", 4) == 0 && size >= 16) {
      format = number(begin, 2);
      channels = number(begin + 2, 2);
      sound.rate = number(begin + 4, 4);
      bits = number(begin + 14, 2);
    } else if (std::memcmp(&bytes[at], "data", 4) == 0) {
      if (channels != 1) refuse("has more than one channel");
      if (format == 3 && bits == 32) {
        sound.samples.resize(size / 4);
        std::memcpy(sound.samples.data(), &bytes[begin], sound.samples.size() * 4);
      } else if (format == 1 && bits == 16) {
        for (size_t i = 0; i + 2 <= size; i += 2) {
          sound.samples.push_back(static_cast<float>(static_cast<int16_t>(number(begin + i, 2))) / 32768.0f);
        }
      } else {
        refuse("has samples other than 16-bit integers and 32-bit floats");
      }
      return sound;
    }
    at = begin + size + size % 2;
  }
  refuse("has no samples");
  return sound;
}

inline void write_wav(const std::string& path, const Sound& sound) {
  std::vector<char> bytes;
  const auto text = [&](const char* name) { bytes.insert(bytes.end(), name, name + 4); };
  const auto number = [&](uint32_t value, size_t size) {
    for (size_t i = 0; i < size; ++i) bytes.push_back(static_cast<char>(value >> (8 * i)));
  };
  const uint32_t size = static_cast<uint32_t>(sound.samples.size() * 4);
  text("RIFF"), number(36 + size, 4), text("WAVE");
  text("fmt "), number(16, 4), number(3, 2), number(1, 2), number(sound.rate, 4), number(4 * sound.rate, 4);
  number(4, 2), number(32, 2);
  text("data"), number(size, 4);
  const size_t begin = bytes.size();
  bytes.resize(begin + size);
  if (size) std::memcpy(&bytes[begin], sound.samples.data(), size);
  std::ofstream file(path, std::ios::binary);
  if (!file.write(bytes.data(), static_cast<std::streamsize>(bytes.size()))) {
    throw std::runtime_error(path + ": cannot be written");
  }
}

#endif  // GRUCORE_EXAMPLES_AUDIO_WAV_H_
