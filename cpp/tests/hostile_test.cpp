// Damaged and forged files: each one is refused by name, and nothing beyond its bytes is read.
// SPDX-License-Identifier: Apache-2.0
#include <functional>

#include "harness.h"
#include "small_file.h"
#include "sound_file.h"
#include "textbook_gates.h"

using namespace grucore_test;

namespace {

bool reached[256];  // statuses seen, by number

// Loads from memory of exactly the file's size, so that a sanitizer sees the first byte beyond.
Status load_of(const Bytes& file, Isa isa = Isa::scalar) {
  const LoadedModel model(file, isa);
  const Status status = model.status();
  reached[static_cast<uint8_t>(status)] = true;
  if (status == Status::kOk) {
    CHECK(model.get() != nullptr);
  } else {
    CHECK(model.get() == nullptr);
    CHECK(model.report().status == status);
    CHECK(model.report().offset <= file.size() + 64);
  }
  return status;
}

void use(const Bytes& file) {
  const LoadedModel model(file, grucore::best_isa());
  if (!CHECK(model.status() == Status::kOk) || grucore::first_unstreamable_node(model.get()) != grucore::kNone) return;
  OwnedStream stream(model, 1, 1);
  std::vector<std::vector<float>> buffers;
  std::vector<const void*> inputs;
  std::vector<void*> outputs;
  for (uint32_t i = 0; i < grucore::input_count(model.get()); ++i) {
    buffers.emplace_back(grucore::input_info(model.get(), i).features, 0.5f);
    inputs.push_back(buffers.back().data());
  }
  for (uint32_t i = 0; i < grucore::output_count(model.get()); ++i) {
    buffers.emplace_back(grucore::output_info(model.get(), i).features);
    outputs.push_back(buffers.back().data());
  }
  (void)grucore::step(stream.get(), inputs.data(), outputs.data());
}

void check_truncation(const Bytes& file) {
  for (size_t size = 0; size < file.size(); ++size) {
    const Bytes prefix(file.begin(), file.begin() + static_cast<ptrdiff_t>(size));
    CHECK_SAYING(load_of(prefix) == Status::kTruncated, "the first %zu bytes", size);
    // Even where the header was made to agree with the shorter length.
    if (size < 64 || size % 64 != 0) continue;
    Bytes sealed = prefix;
    seal(&sealed);
    CHECK_SAYING(load_of(sealed) != Status::kOk, "the first %zu bytes, sealed", size);
  }
}

void check_flips(const Bytes& file) {
  for (size_t bit = 0; bit < file.size() * 8; ++bit) {
    Bytes flipped = file;
    flipped[bit / 8] = static_cast<unsigned char>(flipped[bit / 8] ^ 1u << bit % 8);
    CHECK_SAYING(load_of(flipped) != Status::kOk, "byte %zu bit %zu", bit / 8, bit % 8);
  }
}

void check_trailing(const Bytes& file) {
  for (size_t more = 1; more <= 128; ++more) {
    Bytes longer = file;
    longer.resize(file.size() + more);
    CHECK(load_of(longer) == Status::kBadLength);
    seal(&longer);
    CHECK(load_of(longer) == (more % 64 ? Status::kBadLength : Status::kGap));
  }
}

// Fields that may be changed and still make a model: a direction, an activation, which frame is taken, and where the
// metadata ends, which the engine never reads.
bool may_change(const Bytes& file, size_t at) {
  if (at == 52) return true;
  const SmallSections sections = sections_of(file);
  if (at < sections.words || at >= sections.names) return false;
  const size_t word = (at - sections.words) / 4, ports = get32(file, 36) + get32(file, 40);
  const size_t gru = ports + 1, dense = gru + 9 + 1, take = dense + 3 + 1;  // the first attribute of each
  return word == gru + 1 || word == gru + 3 || word == gru + 6 || word == dense || word == take;
}

// A file with one field changed and its checksum right: the loader trusts nothing that it can check.
void check_fields(const Bytes& file) {
  const uint64_t numbers[] = {0,          1,           2,          3,          63,         64,         255,
                              256,        4095,        4097,       0x10000,    0x100001,   0x7fffffff, 0x80000000,
                              0xffffffff, 0x100000000, 1ull << 40, 1ull << 62, 1ull << 63, ~0ull - 63, ~0ull};
  const size_t end = sections_of(file).names;
  int accepted = 0;
  for (size_t at = 8; at < end; at += 4) {
    if (at == 12) continue;  // the checksum itself
    for (const uint64_t number : numbers) {
      Bytes changed = file;
      set32(&changed, at, static_cast<uint32_t>(number));
      // Wide fields are tried whole as well: each aligned pair of words as one.
      if (number > 0xffffffff) {
        if (at % 8 != 0) continue;
        set32(&changed, at + 4, static_cast<uint32_t>(number >> 32));
      }
      sign(&changed);
      if (changed == file) continue;
      if (load_of(changed) != Status::kOk) continue;
      ++accepted;
      const bool wide = number > 0xffffffff;
      CHECK_SAYING(may_change(file, at) || (wide && may_change(file, at + 4)), "byte %zu: %llu makes a model", at,
                   static_cast<unsigned long long>(number));
      use(changed);
    }
  }
  CHECK(accepted > 0);
}

struct Forgery {
  Status status;
  const char* what;
  std::function<void(Bytes*, const SmallSections&)> forge;
};

void check_forgeries() {
  const auto word = [](size_t SmallSections::* section, size_t offset, uint32_t value) {
    return [=](Bytes* file, const SmallSections& at) { set32(file, at.*section + offset, value); };
  };
  using S = SmallSections;
  const size_t tensor = 64;
  const Forgery forgeries[] = {
      {Status::kNewerVersion, "version 2", [](Bytes* file, const S&) { set32(file, 8, 2); }},
      {Status::kCountOutOfBounds, "no values", [](Bytes* file, const S&) { set32(file, 24, 0); }},
      {Status::kCountOutOfBounds, "65 inputs of a node", word(&S::nodes, 8, 65)},
      {Status::kReservedNotZero, "header", [](Bytes* file, const S&) { set32(file, 60, 1); }},
      {Status::kReservedNotZero, "value", word(&S::values, 28, 1)},
      {Status::kReservedNotZero, "node", word(&S::nodes, 60, 1)},
      {Status::kReservedNotZero, "parameter of a tensor", word(&S::tensors, 44, 1)},
      {Status::kReservedNotZero, "padding", [](Bytes* file, const S& at) { (*file)[at.data - 1] = 1; }},
      {Status::kBadName, "empty", word(&S::values, 0, 0)},
      {Status::kBadName, "control character", [](Bytes* file, const S& at) { (*file)[at.names] = '\n'; }},
      {Status::kBadName, "twice", [](Bytes* file, const S& at) { (*file)[at.names + 1] = 'x'; }},
      {Status::kBadValue, "no features", word(&S::values, 4, 0)},
      {Status::kBadValue, "rate 3", word(&S::values, 12, 3)},
      {Status::kBadValue, "period 2 at rate 0", word(&S::values, 16, 2)},
      {Status::kBadIndex, "a node writes value 99", word(&S::nodes, 12, 99)},
      {Status::kBadIndex, "the model reads value 99", word(&S::words, 0, 99)},
      {Status::kBadOrder, "the gru reads its own output", word(&S::words, 4 * 4, 1)},
      {Status::kValueNotWritten, "two nodes write h", word(&S::nodes, 64 + 12, 1)},
      {Status::kBadShape, "hidden size", word(&S::values, 32 + 4, 6)},
      {Status::kBadShape, "bytes of a tensor", word(&S::tensors, 56, 64)},
      {Status::kBadAttribute, "cell 2", word(&S::words, 4 * 5, 2)},
      {Status::kBadAttribute, "softplus gates", word(&S::words, 4 * 8, 8)},
      {Status::kBadAttribute, "alpha of a sigmoid", word(&S::words, 4 * 9, 0x3f800000)},
      {Status::kBadValue, "skip of an output per sequence", word(&S::values, 3 * 32 + 20, 1)},
      {Status::kMissingTensor, "weight_ih twice", word(&S::tensors, tensor, 1)},
      {Status::kMissingTensor, "no bias", word(&S::nodes, 20, 2)},
      {Status::kMisalignedTensor, "by 4",
       [](Bytes* file, const S& at) { set32(file, at.tensors + 48, static_cast<uint32_t>(at.data + 4)); }},
      {Status::kOverlappingTensor, "the one before",
       [](Bytes* file, const S& at) { set32(file, at.tensors + 64 + 48, static_cast<uint32_t>(at.data)); }},
      {Status::kGap, "of 64 bytes",
       [](Bytes* file, const S& at) { set32(file, at.tensors + 48, static_cast<uint32_t>(at.data + 64)); }},
      {Status::kNonfiniteWeight, "infinity", word(&S::data, 0, 0x7f800000)},
      {Status::kNonfiniteWeight, "NaN", word(&S::data, 4, 0xffc00001)},
      {Status::kUnknownKind, "99", word(&S::nodes, 0, 99)},
      {Status::kUnknownDtype, "7", word(&S::tensors, 4, 7)},
      {Status::kUnknownLayout, "5", word(&S::tensors, 8, 5)},
      {Status::kUnknownRole, "19", word(&S::tensors, 2 * tensor, 19)},
  };
  for (const Forgery& forgery : forgeries) {
    Bytes file = small_file();
    forgery.forge(&file, sections_of(file));
    CHECK(load_of(file) != Status::kOk);  // the checksum tells
    sign(&file);
    const Status found = load_of(file);
    CHECK_SAYING(found == forgery.status, "%s: %s, not %s", forgery.what, grucore::status_name(found),
                 grucore::status_name(forgery.status));
  }
}

// A report names the node and the tensor, also where the node's own record is not checked yet.
void check_reports() {
  struct Blame {
    const char* what;
    std::function<void(Bytes*, const SmallSections&)> forge;
    const char* node;
    const char* role;
  };
  const Blame blames[] = {
      {"infinity in weight_hh",
       [](Bytes* file, const SmallSections& at) { set32(file, get32(*file, at.tensors + 64 + 48), 0x7f800000); },
       "gru.l0", "weight_hh"},
      {"dtype of the dense layer's bias",
       [](Bytes* file, const SmallSections& at) { set32(file, at.tensors + 3 * 64 + 4, 9); }, "linear", "bias"},
      {"dtype of a test input", [](Bytes* file, const SmallSections& at) { set32(file, at.tensors + 5 * 64 + 4, 9); },
       "", "test_input"},
      {"an attribute", [](Bytes* file, const SmallSections& at) { set32(file, at.words + 4 * 5, 2); }, "gru.l0", ""},
      {"a name that is none",
       [](Bytes* file, const SmallSections& at) {
         set32(file, at.nodes + 4, 0x7fffffff);
         set32(file, at.tensors + 4, 9);
       },
       "", "weight_ih"},
  };
  for (const Blame& blame : blames) {
    Bytes file = small_file();
    blame.forge(&file, sections_of(file));
    sign(&file);
    const AlignedBytes bytes(file);
    grucore::MemoryPlan plan;
    grucore::LoadReport report;
    const grucore::Model* model = nullptr;
    CHECK(grucore::plan_model(bytes.data(), bytes.size(), &plan) == Status::kOk);
    const AlignedBytes arena(plan.bytes);
    CHECK(grucore::load(bytes.data(), bytes.size(), Isa::scalar, arena.data(), plan.bytes, &model, &report) !=
          Status::kOk);
    const std::string name =
        report.node_name.length ? std::string(report.node_name.bytes, report.node_name.length) : "";
    CHECK_SAYING(name == blame.node, "%s: node '%s', not '%s'", blame.what, name.c_str(), blame.node);
    const std::string role = grucore::role_name(report.role);
    CHECK_SAYING(role == blame.role, "%s: role '%s', not '%s'", blame.what, role.c_str(), blame.role);
  }
}

// LSTM and plain layers: each word of the tables changed is refused, or makes a model that runs.
void check_gates() {
  std::mt19937 random(3);
  for (const bool is_lstm : {false, true}) {
    for (const textbook::Kind kind : {textbook::Kind::kFloat32, textbook::Kind::kInt8}) {
      const textbook::WeightKind weights = {kind, kind == textbook::Kind::kInt8 ? 16u : 0u, ""};
      textbook::Gates layer = textbook::random_gates(is_lstm, weights, weights, 3, 5, &random);
      layer.initial_h = textbook::Floats(5, 0.25f);
      if (is_lstm) layer.initial_c = textbook::Floats(5, -0.5f);
      FileBuilder builder;
      const uint32_t x = builder.value("x", 3), y = builder.value("y", 5);
      builder.input(x);
      builder.output(y);
      layer.put(&builder, "layer", {x}, y);
      const Bytes file = builder.finish();
      use(file);
      check_flips(file);
      for (size_t at = 16; at < sections_of(file).names; at += 4) {
        for (const uint32_t number : {0u, 1u, 2u, 4u, 5u, 14u, 15u, 18u, 64u, 0x7fc00000u, 0xffffffffu}) {
          Bytes changed = file;
          set32(&changed, at, number);
          sign(&changed);
          if (load_of(changed) == Status::kOk) use(changed);
        }
      }
      Bytes other = file;
      const SmallSections at = sections_of(file);
      const uint32_t code = is_lstm ? 8 : 2;  // where the last activation's attributes start
      set32(&other, at.words + 4 * (3 + code), 17);
      sign(&other);
      CHECK(load_of(other) == Status::kBadAttribute);
      other = file;
      set32(&other, at.nodes, is_lstm ? 18 : 17);  // the other kind
      sign(&other);
      CHECK(load_of(other) == Status::kBadAttribute);
    }
  }
}

// Every word of a front end's records and indices, changed.
void check_sound() {
  for (const SoundShape& shape : {SoundShape{7, 18, 20, 3, 0.5f, 0, 6}, SoundShape{4, 8, 15, 0, 0.0f, 2, 0}}) {
    const Bytes file = sound_file(shape);
    use(file);
    check_flips(file);
    for (size_t at = 16; at < file.size(); at += 4) {
      if (at >= sections_of(file).names && get32(file, at) > 64) continue;  // no index
      for (const uint32_t number : {0u, 1u, 2u, 7u, 14u, 20u, 22u, 65536u, 65537u, 0x7fc00000u, 0xffffffffu}) {
        Bytes changed = file;
        set32(&changed, at, number);
        sign(&changed);
        if (load_of(changed) == Status::kOk) use(changed);
      }
    }
  }
}

// Mistakes of a caller, not of a file.
void check_callers() {
  const Bytes bytes = small_file();
  const AlignedBytes file(bytes);
  grucore::MemoryPlan plan;
  CHECK(grucore::plan_model(file.data(), file.size(), &plan) == Status::kOk);
  const AlignedBytes arena(plan.bytes + 64), shifted(bytes.size() + 64);
  const grucore::Model* model = nullptr;
  unsigned char* at = static_cast<unsigned char*>(arena.data());
  memcpy(static_cast<unsigned char*>(shifted.data()) + 4, bytes.data(), bytes.size());
  const auto expect = [](Status found, Status expected) {
    reached[static_cast<uint8_t>(found)] = true;
    CHECK_EQ(found, expected);
  };
  const Isa isa = Isa::scalar;
  expect(grucore::load(file.data(), file.size(), isa, at, plan.bytes - 1, &model), Status::kArenaTooSmall);
  expect(grucore::load(file.data(), file.size(), isa, at + 8, plan.bytes, &model), Status::kMisalignedMemory);
  expect(grucore::load(static_cast<unsigned char*>(shifted.data()) + 4, file.size(), isa, at, plan.bytes, &model),
         Status::kMisalignedMemory);
  for (const int number : {static_cast<int>(grucore::kIsaCount), 255}) {
    expect(grucore::load(file.data(), file.size(), static_cast<Isa>(number), at, plan.bytes, &model),
           Status::kUnsupportedIsa);
  }
  for (uint32_t i = 0; i < grucore::kIsaCount; ++i) {
    if (grucore::isa_supported(static_cast<Isa>(i))) continue;
    expect(grucore::load(file.data(), file.size(), static_cast<Isa>(i), at, plan.bytes, &model),
           Status::kUnsupportedIsa);
  }
  CHECK(model == nullptr);
  expect(grucore::load(file.data(), file.size(), isa, at, plan.bytes, &model), Status::kOk);
  grucore::MemoryPlan stream_plan;
  const auto plan_of = [&](uint32_t batch, uint32_t block) {
    return grucore::plan_stream(model, {batch, block, grucore::Nonfinite::kPropagate}, &stream_plan);
  };
  expect(plan_of(0, 1), Status::kBadArgument);
  expect(plan_of(1, 0), Status::kBadArgument);
  expect(plan_of(0xffffffffu, 1), Status::kBadArgument);
  expect(plan_of(1u << 20, 1u << 20), Status::kTooLarge);
  expect(plan_of(1, 1), Status::kOk);
  const AlignedBytes memory(stream_plan.bytes + 64);
  grucore::Stream* stream = nullptr;
  const grucore::StreamOptions one;
  expect(grucore::init_stream(model, one, memory.data(), stream_plan.bytes - 1, &stream), Status::kArenaTooSmall);
  expect(grucore::init_stream(model, one, static_cast<unsigned char*>(memory.data()) + 4, stream_plan.bytes, &stream),
         Status::kMisalignedMemory);
  CHECK(stream == nullptr);
}

void check_magic(const Bytes& file) {
  Bytes other = file;
  other[0] = 'P';
  CHECK(load_of(other) == Status::kBadMagic);
  other = file;
  for (int i = 0; i < 4; ++i) std::swap(other[static_cast<size_t>(i)], other[static_cast<size_t>(7 - i)]);
  CHECK(load_of(other) == Status::kBadMagic);
  other = file;
  other.back() = 1;
  CHECK(load_of(other) == Status::kBadChecksum);
  CHECK(load_of(Bytes()) == Status::kTruncated);
}

// Every status has its file here, so that none is listed and never used.
void check_coverage() {
#define GRUCORE_STATUS(name, number, python, meaning) \
  CHECK_SAYING(reached[number] || Status::name == Status::kNotStreamable, "no file gives %s", #name);
#include "grucore/status.inc"  // kNotStreamable is the binding's to give: the engine's step returns an empty mask
#undef GRUCORE_STATUS
}

}  // namespace

int main() {
  for (const bool reset_before : {false, true}) {
    const Bytes file = small_file(reset_before);
    CHECK(load_of(file) == Status::kOk);
    use(file);
    check_magic(file);
    check_truncation(file);
    check_flips(file);
    check_trailing(file);
    check_fields(file);
  }
  check_forgeries();
  check_reports();
  check_gates();
  check_sound();
  check_callers();
  check_coverage();
  return finish("hostile_test");
}
