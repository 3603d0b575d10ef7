// The same bits across machines: runs fixed models on fixed signals with every table of a numerics class,
// and writes or compares one hash for each.
// SPDX-License-Identifier: Apache-2.0
// Usage: bits_dump --write|--check fused|muladd|exact FILE
#include <stdio.h>

#include <string>

#include "harness.h"
#include "portable.h"
#include "sound_file.h"
#include "textbook_gates.h"

using namespace grucore_test;

namespace {

struct Network {
  uint32_t input_size, hidden_size, layers;
  bool reset_before, bidirectional;
};

constexpr Network kNetworks[] = {
    {1, 1, 1, false, false},   {1, 16, 1, false, false}, {3, 5, 2, true, false},      {24, 24, 1, false, false},
    {40, 64, 1, false, false}, {40, 64, 1, true, false}, {7, 17, 2, false, true},     {13, 47, 1, true, true},
    {33, 80, 1, false, false}, {5, 130, 1, true, false}, {128, 128, 1, false, false}, {2, 28, 3, false, false},
};
struct GateNetwork {
  bool is_lstm;
  uint32_t input_size, hidden_size;
  bool reverse;
};
constexpr GateNetwork kGateNetworks[] = {{true, 1, 16, false},   {true, 40, 64, false},  {true, 7, 17, true},
                                         {true, 5, 130, false},  {true, 128, 96, false}, {false, 3, 5, false},
                                         {false, 13, 47, false}, {false, 33, 80, true}};

constexpr textbook::WeightKind kIntegerKinds[] = {{textbook::Kind::kInt8, 16, "int8/16"},
                                                  {textbook::Kind::kInt8, 8, "int8/8"},
                                                  {textbook::Kind::kInt4, 16, "int4/16"},
                                                  {textbook::Kind::kInt4, 8, "int4/8"}};
constexpr textbook::WeightKind kFloatKinds[] = {{textbook::Kind::kFloat32, 0, "float32"},
                                                {textbook::Kind::kFloat32, 0, "float32"},
                                                {textbook::Kind::kFloat16, 0, "float16"}};
constexpr uint32_t kFrames = 120, kBatch = 5;

// gru layers, then a dense layer for each activation.
Bytes file_of(const Network& network, PortableRandom* random) {
  FileBuilder file;
  uint32_t x = file.value("x", network.input_size), features = network.input_size;
  file.input(x);
  const uint32_t hidden = network.hidden_size;
  for (uint32_t layer = 0; layer < network.layers; ++layer) {
    const std::string name = "gru.l" + std::to_string(layer);
    uint32_t y = file.value(name, hidden);
    file.gru(name, portable_gru(features, hidden, network.reset_before, false, random), x, y);
    if (network.bidirectional) {
      const uint32_t back = file.value(name + "_reverse", hidden), both = file.value(name + ".both", 2 * hidden);
      file.gru(name + "_reverse", portable_gru(features, hidden, network.reset_before, true, random), x, back);
      file.concat(name + ".concat", {y, back}, both);
      y = both;
    }
    features = network.bidirectional ? 2 * hidden : hidden;
    x = y;
  }
  std::vector<uint32_t> ends;
  for (uint32_t activation = 0; activation < 4; ++activation) {
    ends.push_back(file.value("y" + std::to_string(activation), 6));
    const textbook::Floats weight = portable_floats(6 * size_t{features}, 1.0f, random);
    file.dense("dense" + std::to_string(activation), weight, portable_floats(6, 0.5f, random), activation, x,
               ends.back());
  }
  const uint32_t all = file.value("all", 24);
  file.concat("all", ends, all);
  file.output(all);
  return file.finish();
}

// Layers of integer weights, of another kind for each network.
Bytes quantized_file_of(const Network& network, uint32_t index) {
  std::mt19937 random(index + 1);
  FileBuilder file;
  uint32_t x = file.value("x", network.input_size), features = network.input_size;
  file.input(x);
  for (uint32_t layer = 0; layer < network.layers; ++layer) {
    const std::string name = "gru.l" + std::to_string(layer);
    const uint32_t y = file.value(name, network.hidden_size);
    textbook::random_quantized_gru(kIntegerKinds[index % 4], kIntegerKinds[(index + layer) % 4], features,
                                   network.hidden_size, network.reset_before, &random)
        .put(&file, name, x, y);
    features = network.hidden_size;
    x = y;
  }
  file.output(x);
  return file.finish();
}

uint64_t hash_of(const std::vector<float>& values) {
  uint64_t hash = 0xcbf29ce484222325u;
  for (const float value : values) {
    const uint32_t bits = value != value ? 0x7fc00000u : float_bits(value);  // NaN's payload is the machine's
    for (int i = 0; i < 4; ++i) hash = (hash ^ (bits >> (8 * i) & 0xff)) * 0x100000001b3u;
  }
  return hash;
}

struct Golden {
  std::string name;
  Bytes file;
  textbook::Floats x;  // (kBatch, kFrames, features)
  bool streams;
};

// Networks of the fused and the muladd class, or of integer weights.
std::vector<Golden> golden_models(bool exact) {
  std::vector<Golden> models;
  uint32_t seed = 0;
  for (Network network : kNetworks) {
    PortableRandom random(++seed);
    if (exact) network.bidirectional = false;
    const Bytes file = exact ? quantized_file_of(network, seed) : file_of(network, &random);
    char name[80];
    snprintf(name, sizeof name, "%u-%ux%u%s%s", network.input_size, network.hidden_size, network.layers,
             network.reset_before ? " before" : " after", network.bidirectional ? " both" : "");
    models.push_back(
        {name, file, portable_signal(size_t{kBatch} * kFrames * network.input_size, &random), !network.bidirectional});
  }
  for (const GateNetwork& network : kGateNetworks) {
    PortableRandom signal(++seed);
    std::mt19937 random(seed);
    const textbook::WeightKind& kind = exact ? kIntegerKinds[seed % 4] : kFloatKinds[seed % 3];
    const textbook::WeightKind& recurrent = exact ? kIntegerKinds[(seed + 1) % 4] : kFloatKinds[0];
    textbook::Gates layer =
        textbook::random_gates(network.is_lstm, kind, recurrent, network.input_size, network.hidden_size, &random);
    layer.reverse = network.reverse;
    FileBuilder file;
    const uint32_t x = file.value("x", network.input_size), y = file.value("y", network.hidden_size);
    file.input(x);
    file.output(y);
    layer.put(&file, "layer", {x}, y);
    char name[80];
    snprintf(name, sizeof name, "%s %u-%u%s", network.is_lstm ? "lstm" : "rnn", network.input_size, network.hidden_size,
             network.reverse ? " reverse" : "");
    models.push_back({name, file.finish(), portable_signal(size_t{kBatch} * kFrames * network.input_size, &signal),
                      !network.reverse});
  }
  // No product of float weights: the same bits in all classes.
  const SoundShape sounds[] = {
      {80, 200, 320, 40, 0.97f, 0, 40}, {100, 250, 300, 0, 0.0f, 1, 0}, {60, 75, 75, 0, 0.5f, 2, 0}};
  for (const SoundShape& shape : sounds) {
    if (!exact) break;
    PortableRandom random(++seed);
    char name[80];
    snprintf(name, sizeof name, "spectrum %u of %u", shape.length, shape.samples);
    models.push_back({name, sound_file(shape), portable_signal(size_t{kBatch} * kFrames * shape.hop, &random), true});
  }
  return models;
}

// One line for each network, equal for every table of the class.
std::vector<std::string> lines_of(grucore::Numerics numerics) {
  std::vector<std::string> lines;
  uint32_t tables = 0;
  const std::vector<Golden> models = golden_models(numerics == grucore::Numerics::kExact);
  for (const Golden& golden : models) {
    std::string first;
    for (const Isa isa : supported_isas()) {
      const LoadedModel model(golden.file, isa);
      if (!CHECK(model.status() == Status::kOk) || grucore::model_numerics(model.get()) != numerics) continue;
      ++tables;
      const uint32_t block = golden.streams ? 17 : kFrames;
      const std::vector<float> y = run_all(model, kBatch, block, kFrames, golden.x);
      for (const uint32_t row : {0u, 4u}) {
        if (!golden.streams) break;
        const std::vector<float> stepped = step_all(model, kFrames, golden.x.data() + row * (golden.x.size() / kBatch));
        CHECK(same_bits(stepped.data(), y.data() + row * stepped.size(), stepped.size()));
      }
      char text[160];
      snprintf(text, sizeof text, "%s %016llx last %08x %08x %08x", golden.name.c_str(),
               static_cast<unsigned long long>(hash_of(y)), float_bits(y[y.size() - 24]), float_bits(y[y.size() - 18]),
               float_bits(y[y.size() - 12]));
      if (first.empty()) first = text;
      CHECK_SAYING(first == text, "%s: %s, not %s", grucore::isa_name(isa), text, first.c_str());
    }
    if (!first.empty()) lines.push_back(first);
  }
  CHECK(lines.size() == models.size());
  printf("%u tables, %zu networks\n", tables / static_cast<uint32_t>(lines.empty() ? 1 : lines.size()), lines.size());
  return lines;
}

int write_golden(const char* path, const std::vector<std::string>& lines) {
  FILE* file = fopen(path, "wb");
  if (!file) return 1;
  for (const std::string& line : lines) fprintf(file, "%s\n", line.c_str());
  return fclose(file);
}

void compare(const char* path, const std::vector<std::string>& lines) {
  FILE* file = fopen(path, "rb");
  if (!CHECK_SAYING(file != nullptr, "cannot read %s", path)) return;
  char text[200];
  size_t count = 0;
  while (fgets(text, sizeof text, file)) {
    text[strcspn(text, "\r\n")] = 0;
    if (!CHECK(count < lines.size())) break;
    CHECK_SAYING(lines[count] == text, "%s here, %s in the file", lines[count].c_str(), text);
    ++count;
  }
  CHECK(count == lines.size());
  fclose(file);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4) return 2;
  const auto is = [&](const char* name) { return strcmp(argv[2], name) == 0; };
  const std::vector<std::string> lines = lines_of(is("fused")   ? grucore::Numerics::kFused
                                                  : is("exact") ? grucore::Numerics::kExact
                                                                : grucore::Numerics::kMulAdd);
  if (strcmp(argv[1], "--write") == 0) return write_golden(argv[3], lines);
  compare(argv[3], lines);
  return finish("bits_dump");
}
