// Times the engine beside the limits of the machine, in one run. Pin it to a core: `taskset -c 1 bench`.
// SPDX-License-Identifier: Apache-2.0
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <algorithm>
#include <chrono>
#include <functional>

#include "harness.h"
#include "limits.h"
#include "portable.h"
#include "textbook_gates.h"
#include "textbook_quantized.h"

using namespace grucore_test;

namespace {

constexpr const char* kHelp =
    "bench [--isa NAME] [--weights KIND] [--activations 8|16] [--only S1,Q3,...] [--rounds N] [--chunk-us N]\n"
    "      [--json] [--cell gru|reset-before|lstm|rnn] [--steps N]\n"
    "KIND: float32 (the default), float16, int8, int4; activations of the last two, 16 unless said.\n"
    "S: one frame a call, state carried; Q: a sequence of 100 frames; BHxN: a batch of N sequences;\n"
    "S3x1000: one frame of 1,000 streams.\n"
    "Interleaves, round after round: the engine, a pure read of as many weights, one that turns round at every\n"
    "call as the engine does, multiply-adds in registers and a fixed loop. Figures are microseconds: the best round, "
    "and the median.\n"
    "--steps N calls the engine N times and times nothing: for what counts instructions.\n";

struct Workload {
  const char* name;
  uint32_t input_size, hidden_size, frames, batch;  // frames 0: streaming
  uint32_t layers = 1;
};

constexpr Workload kWorkloads[] = {
    {"S1", 1, 16, 0, 1},
    {"S2", 24, 24, 0, 1},
    {"S3", 40, 64, 0, 1},
    {"S4", 128, 128, 0, 1},
    {"S5", 256, 256, 0, 1},
    {"S6", 384, 384, 0, 1},
    {"S7", 400, 400, 0, 1, 2},
    {"S8", 512, 1024, 0, 1},
    {"Q3", 40, 64, 100, 1},
    {"Q4", 128, 128, 100, 1},
    {"Q5", 256, 256, 100, 1},
    {"Q6", 384, 384, 100, 1},
    {"Q7", 400, 400, 100, 1, 2},
    {"L", 1, 40, 48000, 1},
    {"B128x16", 128, 128, 100, 16},
    {"B128x64", 128, 128, 100, 64},
    {"B256x16", 256, 256, 100, 16},
    {"B256x64", 256, 256, 100, 64},
    {"S3x1000", 40, 64, 0, 1000},
    {"S4x16", 128, 128, 0, 16},
    {"S5x4", 256, 256, 0, 4},
    {"S5x16", 256, 256, 0, 16},
    {"S5x64", 256, 256, 0, 64},
};

struct Options {
  Isa isa = grucore::best_isa();
  const char* only = nullptr;
  uint32_t rounds = 60;
  double chunk_us = 3000;
  bool json = false;
  std::string cell = "gru";
  uint32_t steps = 0;
  textbook::Kind kind = textbook::Kind::kFloat32;
  const char* kind_name = "float32";
  uint32_t activations = 16;
};

struct Figure {
  double best = 0, median = 0;
};

// Something to time: `call` is repeated as often as fits into a chunk.
struct Timed {
  std::function<void()> call;
  uint32_t repeats = 1;
  std::vector<double> rounds = {};

  double once() const {
    const auto start = std::chrono::steady_clock::now();
    for (uint32_t i = 0; i < repeats; ++i) call();
    return std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now() - start).count();
  }
  void calibrate(double chunk_us) {
    while (once() < chunk_us && repeats < 1u << 26) repeats *= 2;
  }
  Figure figure() const {
    std::vector<double> sorted = rounds;
    std::sort(sorted.begin(), sorted.end());
    return {sorted.front(), sorted[sorted.size() / 2]};
  }
};

void put_layer(FileBuilder* file, uint32_t layer, const Options& options, uint32_t inputs, uint32_t hidden, uint32_t x,
               uint32_t y) {
  PortableRandom portable(layer + 1);
  const bool is_reset_before = options.cell == "reset-before";
  const textbook::Gru gru = portable_gru(inputs, hidden, is_reset_before, false, &portable);
  const std::string name = options.cell + std::to_string(layer);
  const textbook::WeightKind kind = {options.kind, options.activations, options.kind_name};
  std::mt19937 random(layer + 1);
  if (options.cell == "lstm" || options.cell == "rnn") {
    textbook::random_gates(options.cell == "lstm", kind, kind, inputs, hidden, &random).put(file, name, {x}, y);
    return;
  }
  if (options.kind == textbook::Kind::kFloat32) return file->gru(name, gru, x, y);
  textbook::random_quantized_gru(kind, kind, inputs, hidden, is_reset_before, &random).put(file, name, x, y);
}

Bytes file_of(const Workload& work, const Options& options) {
  FileBuilder file;
  uint32_t x = file.value("x", work.input_size);
  file.input(x);
  for (uint32_t layer = 0; layer < work.layers; ++layer) {
    const uint32_t y = file.value("y" + std::to_string(layer), work.hidden_size);
    put_layer(&file, layer, options, layer ? work.hidden_size : work.input_size, work.hidden_size, x, y);
    x = y;
  }
  file.output(x);
  return file.finish();
}

// Bytes of a weight, its share of the scales counted.
double bytes_of_weight(textbook::Kind kind) {
  switch (kind) {
    case textbook::Kind::kFloat32: return 4;
    case textbook::Kind::kFloat16: return 2;
    case textbook::Kind::kInt8: return 1;
    case textbook::Kind::kInt4: break;
  }
  return 0.5 + 2.0 / 32;
}

bool is_chosen(const Options& options, const char* name) {
  if (!options.only) return true;
  const size_t length = strlen(name);
  for (const char* at = options.only; (at = strstr(at, name)) != nullptr; ++at) {
    const bool starts = at == options.only || at[-1] == ',';
    if (starts && (at[length] == 0 || at[length] == ',')) return true;
  }
  return false;
}

// The least time that the machine's own figures allow: weights are read each step, products are done at peak.
// A sequence or batch reads the recurrent weights each step and does the input product as one.
double limit_of(const Workload& work, double gates, double read_us, double mac_us) {
  const double deeper = (work.layers - 1) * gates * work.hidden_size * work.hidden_size;
  const double input = gates * work.hidden_size * work.input_size + deeper;
  const double recurrent = work.layers * gates * work.hidden_size * work.hidden_size;
  const double steps = work.frames ? work.frames : 1;
  if (!work.frames) return std::max(read_us, work.batch * (input + recurrent) * mac_us);
  return steps * (work.batch * input * mac_us + std::max(read_us, work.batch * recurrent * mac_us));
}

// A read of all weights as a step reads them: layer after layer, the panels of each forth in one call and back in the
// next, so that what was read last is near.
class TurningRead {
 public:
  TurningRead(const grucore_bench::Limits& limits, const AlignedBytes& weights, const Workload& work,
              double panel_bytes)
      : read_(limits.read),
        weights_(static_cast<const unsigned char*>(weights.data())),
        layers_(work.layers),
        layer_(weights.size() / work.layers / 64 * 64),
        panel_(std::min(layer_, static_cast<size_t>(panel_bytes) / 64 * 64 + 64)) {}

  uint32_t operator()() {
    uint32_t sum = 0;
    const size_t panels = (layer_ + panel_ - 1) / panel_;
    backwards_ = !backwards_;
    for (uint32_t layer = 0; layer < layers_; ++layer) {
      for (size_t i = 0; i < panels; ++i) {
        const size_t at = (backwards_ ? panels - 1 - i : i) * panel_;
        sum += read_(weights_ + layer * layer_ + at, std::min(panel_, layer_ - at));
      }
    }
    return sum;
  }

 private:
  uint32_t (*read_)(const void* from, size_t bytes);
  const unsigned char* weights_;
  uint32_t layers_;
  size_t layer_, panel_;
  bool backwards_ = false;
};

void measure(const Workload& work, const Options& options) {
  const Bytes bytes = file_of(work, options);
  const LoadedModel model(bytes, options.isa);
  if (model.status() != Status::kOk) {
    fprintf(stderr, "%s: %s\n", work.name, grucore::status_meaning(model.status()));
    exit(1);
  }
  const uint32_t frames = work.frames ? work.frames : 1;
  const OwnedStream stream(model, work.batch, work.frames ? 32 : 1);
  PortableRandom random(2);
  const textbook::Floats x = portable_floats(size_t{work.batch} * frames * work.input_size, 2.0f, &random);
  std::vector<float> y(size_t{work.batch} * frames * work.hidden_size);
  const void* inputs[] = {x.data()};
  void* outputs[] = {y.data()};
  const grucore::ConstSignal in = {x.data(), size_t{frames} * work.input_size, work.input_size};
  const grucore::Signal out = {y.data(), size_t{frames} * work.hidden_size, work.hidden_size};

  // Weights of the same size, apart from the model's, as the engine leaves them in the caches.
  const double gates = options.cell == "lstm" ? 4 : options.cell == "rnn" ? 1 : 3;
  const double hidden_macs = gates * work.hidden_size * work.hidden_size * work.layers;
  const double input_macs = gates * work.hidden_size * (work.input_size + (work.layers - 1.0) * work.hidden_size);
  const double read_bytes = (hidden_macs + (work.frames ? 0 : input_macs)) * bytes_of_weight(options.kind);
  const AlignedBytes weights((static_cast<size_t>(read_bytes) + 63) / 64 * 64);
  const grucore_bench::Limits limits = grucore_bench::limits_of(options.isa);
  const bool is_integer = options.kind == textbook::Kind::kInt8 || options.kind == textbook::Kind::kInt4;
  const auto multiply_rounds = is_integer ? limits.multiply_bytes : limits.multiply;
  constexpr uint32_t kMultiplyRounds = 1000, kLoopRounds = 10000;
  const double columns = work.hidden_size + (work.frames ? 0.0 : work.input_size);
  TurningRead turning(limits, weights, work, gates * 16 * columns * bytes_of_weight(options.kind));

  Timed timed[] = {
      {[&] {
        if (work.frames) {
          grucore::run(stream.get(), frames, &in, &out, nullptr);
        } else {
          (void)grucore::step(stream.get(), inputs, outputs);
        }
      }},
      {[&] { grucore_bench::keep(limits.read(weights.data(), weights.size())); }},
      {[&] { grucore_bench::keep(multiply_rounds(kMultiplyRounds)); }},
      {[&] { grucore_bench::keep(grucore_bench::fixed_loop(kLoopRounds)); }},
      {[&] { grucore_bench::keep(turning()); }},
  };
  if (options.steps) {
    for (uint32_t i = 0; i < options.steps; ++i) timed[0].call();
    return;
  }
  for (Timed& one : timed) one.calibrate(options.chunk_us);
  for (uint32_t round = 0; round < options.rounds; ++round) {
    for (Timed& one : timed) one.rounds.push_back(one.once() / one.repeats);
  }
  const Figure engine = timed[0].figure(), read = timed[1].figure(), multiply = timed[2].figure(),
               loop = timed[3].figure(), turned = timed[4].figure();
  const double mac_us =
      multiply.best / (kMultiplyRounds * (is_integer ? limits.byte_macs_of_a_round : limits.macs_of_a_round));
  const double limit = limit_of(work, gates, read.best, mac_us);
  const double macs = (hidden_macs + input_macs) * frames * work.batch;
  if (options.json) {
    printf(
        "{\"workload\": \"%s\", \"isa\": \"%s\", \"input_size\": %u, \"hidden_size\": %u, \"frames\": %u, \"batch\": "
        "%u, "
        "\"cell\": \"%s\", \"layers\": %u, \"weights\": \"%s\", \"activations\": %u, \"us\": %.5g, \"us_median\": "
        "%.5g, \"limit_us\": %.5g, "
        "\"read_us\": %.5g, \"read_us_median\": %.5g, \"turning_read_us\": %.5g, \"weight_bytes\": %zu, "
        "\"peak_gmacs\": %.4g, "
        "\"loop_us\": %.5g, \"loop_us_median\": %.5g, \"rounds\": %u}\n",
        work.name, grucore::isa_name(options.isa), work.input_size, work.hidden_size, frames, work.batch,
        options.cell.c_str(), work.layers, options.kind_name, is_integer ? options.activations : 0, engine.best,
        engine.median, limit, read.best, read.median, turned.best, weights.size(), 1e-3 / mac_us, loop.best,
        loop.median, options.rounds);
  } else {
    printf("%-8s %10.4g %10.4g %10.4g %7.2f %10.4g %10.4g %8.1f %8.1f %8.3g %8.3g\n", work.name, engine.best,
           engine.median, limit, engine.best / limit, read.best, turned.best, macs / engine.best * 1e-3, 1e-3 / mac_us,
           loop.best, loop.median);
  }
  fflush(stdout);
}

Isa isa_named(const char* name) {
  for (uint32_t i = 0; i < grucore::kIsaCount; ++i) {
    const Isa isa = static_cast<Isa>(i);
    if (strcmp(grucore::isa_name(isa), name) == 0 && grucore::isa_supported(isa)) return isa;
  }
  fprintf(stderr, "bench: this machine or build has no instruction set \"%s\"\n", name);
  exit(2);
}

const char* cell_named(const char* name) {
  for (const char* known : {"gru", "reset-before", "lstm", "rnn"}) {
    if (strcmp(name, known) == 0) return known;
  }
  fprintf(stderr, "bench: cell \"%s\", expected gru, reset-before, lstm or rnn\n", name);
  exit(2);
}

void set_kind(Options* options, const char* name) {
  const struct {
    const char* name;
    textbook::Kind kind;
  } kinds[] = {{"float32", textbook::Kind::kFloat32},
               {"float16", textbook::Kind::kFloat16},
               {"int8", textbook::Kind::kInt8},
               {"int4", textbook::Kind::kInt4}};
  for (const auto& row : kinds) {
    if (strcmp(name, row.name) != 0) continue;
    options->kind = row.kind;
    options->kind_name = row.name;
    return;
  }
  fprintf(stderr, "bench: weights \"%s\", expected float32, float16, int8 or int4\n", name);
  exit(2);
}

Options parse(int argc, char** argv) {
  Options options;
  for (int i = 1; i < argc; ++i) {
    const auto is = [&](const char* name) { return strcmp(argv[i], name) == 0; };
    const bool has_value = i + 1 < argc;
    if (is("--json")) {
      options.json = true;
    } else if (is("--cell") && has_value) {
      options.cell = cell_named(argv[++i]);
    } else if (is("--isa") && has_value) {
      options.isa = isa_named(argv[++i]);
    } else if (is("--weights") && has_value) {
      set_kind(&options, argv[++i]);
    } else if (is("--activations") && has_value) {
      options.activations = strtol(argv[++i], nullptr, 10) == 8 ? 8 : 16;
    } else if (is("--only") && has_value) {
      options.only = argv[++i];
    } else if (is("--rounds") && has_value) {
      options.rounds = static_cast<uint32_t>(std::max(1L, strtol(argv[++i], nullptr, 10)));
    } else if (is("--steps") && has_value) {
      options.steps = static_cast<uint32_t>(strtol(argv[++i], nullptr, 10));
    } else if (is("--chunk-us") && has_value) {
      options.chunk_us = strtod(argv[++i], nullptr);
    } else {
      fputs(kHelp, is("--help") ? stdout : stderr);
      exit(is("--help") ? 0 : 2);
    }
  }
  return options;
}

}  // namespace

int main(int argc, char** argv) {
  const Options options = parse(argc, argv);
  if (!options.json && !options.steps) {
    printf("isa %s, weights %s, best of %u rounds; times in us, limit from this run's own reads and multiply-adds\n",
           grucore::isa_name(options.isa), options.kind_name, options.rounds);
    printf("%-8s %10s %10s %10s %7s %10s %10s %8s %8s %8s %8s\n", "", "best", "median", "limit", "x limit", "read",
           "turning", "Gmac/s", "peak", "loop", "median");
  }
  int measured = 0;
  for (const Workload& work : kWorkloads) {
    if (!is_chosen(options, work.name)) continue;
    measure(work, options);
    ++measured;
  }
  return measured ? 0 : 2;
}
