// The C++ interface of the engine: plan, load, reset, step, run. Memory is the caller's throughout.
// SPDX-License-Identifier: Apache-2.0
#ifndef GRUCORE_GRUCORE_H_
#define GRUCORE_GRUCORE_H_

#include <stddef.h>
#include <stdint.h>

#include "grucore/export.h"
#include "grucore/version.h"

namespace grucore {

// The version of the library that is linked, as GRUCORE_VERSION is of the header.
GRUCORE_API uint32_t version();

// ---------------------------------------------------------------------------------------------- errors

// How a call ended. Outputs are written only where it is kOk.
enum class [[nodiscard]] Status : uint8_t {
#define GRUCORE_STATUS(name, number, python, meaning) name = number,
#include "grucore/status.inc"
#undef GRUCORE_STATUS
};

GRUCORE_API const char* status_name(Status status);     // "kBadMagic"
GRUCORE_API const char* status_meaning(Status status);  // one sentence

// In place of an index or a role where there is none.
constexpr uint32_t kNone = 0xffffffffu;

// Letters of the file, in UTF-8; no zero ends them.
struct Text {
  const char* bytes;
  uint32_t length;
};

// Where a file was refused, and what stood there. Written by plan_model and load on failure only.
struct LoadReport {
  Status status = Status::kOk;
  uint64_t offset = 0;            // bytes from the start of the file
  uint32_t node = kNone;          // index of the node, or kNone
  uint32_t role = kNone;          // role of the tensor (docs/format.md), or kNone
  Text node_name = {nullptr, 0};  // of the node; empty where the file's name for it is no name
  uint64_t found = 0;
  uint64_t expected = 0;  // the value, or the bound, that `found` missed
};

GRUCORE_API const char* role_name(uint32_t role);  // "weight_ih"; "" for a number that is no role

// ------------------------------------------------------------------------------------ instruction sets

// Kernel tables, a row of isa_list.inc each.
enum class Isa : uint8_t {
#define GRUCORE_ISA_ROW(name, number, numerics, architecture, feature) name = number,
#include "grucore/isa_list.inc"
#undef GRUCORE_ISA_ROW
};
// How many there are; a build need not have them all.
constexpr uint32_t kIsaCount = 0
#define GRUCORE_ISA_ROW(name, number, numerics, architecture, feature) +1
#include "grucore/isa_list.inc"
#undef GRUCORE_ISA_ROW
    ;

// Float results are the same bits within a class (docs/numerics.md).
enum class Numerics : uint8_t { kExact = 0, kFused = 1, kMulAdd = 2 };

GRUCORE_API const char* isa_name(Isa isa);  // "avx2"
GRUCORE_API bool isa_supported(Isa isa);    // compiled in, and this machine and its system can run it
// The last supported row of isa_list.inc; but `scalar` only where a fused multiply-add is an instruction: emulated, it
// takes many times as long as `scalar_muladd`, whose outputs differ in the last bits (docs/numerics.md).
GRUCORE_API Isa best_isa();

// --------------------------------------------------------------------------------------------- models

// The memory that a plan asks for.
struct MemoryPlan {
  size_t bytes = 0;  // to allocate, aligned to kAlignment
};
// Alignment of files and of arenas, in bytes.
constexpr size_t kAlignment = 64;

struct Model;   // immutable after load; any number of threads may use it
struct Stream;  // one thread at a time

// One value per frame, per `period` frames, or per sequence.
enum class Rate : uint8_t { kFrame = 0, kPeriod = 1, kSequence = 2 };
// The numbers of an input or output.
enum class Dtype : uint8_t { kFloat32 = 0, kInt32 = 1 };

// An input or an output of the model.
struct PortInfo {
  Text name;
  uint32_t features;
  uint32_t period;  // frames of the input from one value to the next
  uint32_t skip;    // first frames of a stream without a value
  uint32_t ids;     // of an input: the ids that embeddings have for it, 0 to ids - 1; 0: no embedding reads it
  Dtype dtype;
  Rate rate;
};

// The state that a stream carries from frame to frame.
struct StateInfo {
  Text node;           // the state is called "<node>.h" when recurrent
  const char* suffix;  // ".h"
  uint32_t size;       // floats for each row
  uint32_t frames;     // of a history: size is frames x channels, oldest first; 0: a vector
  uint32_t channels;
  bool is_public;  // shown to users; others are internal, e.g. the last frame that `take` keeps
};

// Frames of an input that the file holds, or what the model gives for them.
struct TestVector {
  const void* data;  // (values, features)
  uint32_t frames;   // values: frames of an input, what they give of an output; 0: there is no test vector
};

// Bytes of the arena that load needs. Reads the header only; `file` must hold `file_bytes` readable bytes.
GRUCORE_API Status plan_model(const void* file, size_t file_bytes, MemoryPlan* plan, LoadReport* report = nullptr);

// Checks the whole file (length, checksum, every field) and builds the model in `arena`. The model keeps
// pointers into `file`, which must stay and not change. Both must be aligned to kAlignment. `*model` is
// written only on kOk.
GRUCORE_API Status load(const void* file, size_t file_bytes, Isa isa, void* arena, size_t arena_bytes,
                        const Model** model, LoadReport* report = nullptr);

// The kernel table that load was given, and the class of the model's float results.
GRUCORE_API Isa model_isa(const Model* model);
GRUCORE_API Numerics model_numerics(const Model* model);
// True if some layer rounds what it multiplies to integers: a difference in its input may then become a whole step.
GRUCORE_API bool rounds_activations(const Model* model);
// Inputs and outputs, in the file's order.
GRUCORE_API uint32_t input_count(const Model* model);
GRUCORE_API uint32_t output_count(const Model* model);
GRUCORE_API PortInfo input_info(const Model* model, uint32_t index);
GRUCORE_API PortInfo output_info(const Model* model, uint32_t index);
// States, public and internal ones.
GRUCORE_API uint32_t state_count(const Model* model);
GRUCORE_API StateInfo state_info(const Model* model, uint32_t index);
// The file's test vector: frames of an input, and an output for all of them.
GRUCORE_API TestVector test_input(const Model* model, uint32_t index);
GRUCORE_API TestVector test_output(const Model* model, uint32_t index);
// JSON, as the file has it.
GRUCORE_API Text model_metadata(const Model* model);
// The first node that reads the future, or kNone when the model can be stepped.
GRUCORE_API uint32_t first_unstreamable_node(const Model* model);
// The layer's name, such as "gru.l0".
GRUCORE_API Text node_name(const Model* model, uint32_t node);
// Multiply-adds of one frame through every per-frame node.
GRUCORE_API uint64_t macs_per_frame(const Model* model);

// -------------------------------------------------------------------------------------------- streams

// The effect of a non-finite input frame (docs/numerics.md): it propagates, or the frame is skipped for its
// row, whose state stays and whose outputs are NaN.
enum class Nonfinite : uint8_t { kPropagate = 0, kHold = 1 };

// How a stream is made.
struct StreamOptions {
  uint32_t batch = 1;  // rows, at least 1
  uint32_t block = 1;  // frames that run works on at a time; the whole sequence when the model cannot stream
  Nonfinite nonfinite = Nonfinite::kPropagate;
};

// Bytes of the arena that a stream needs, and the stream itself, made in such an arena. `*stream` is written only on
// kOk.
GRUCORE_API Status plan_stream(const Model* model, const StreamOptions& options, MemoryPlan* plan);
GRUCORE_API Status init_stream(const Model* model, const StreamOptions& options, void* arena, size_t arena_bytes,
                               Stream** stream);

// Back to the initial state: every row, or `count` rows.
GRUCORE_API void reset(Stream* stream) noexcept;
GRUCORE_API void reset_rows(Stream* stream, const uint32_t* rows, uint32_t count) noexcept;

// One frame of every row. inputs[i] is (batch, features), outputs[i] is (batch, features), contiguous.
// Returns a mask of the outputs written: those whose clock ticks at this frame, for some row; other rows'
// outputs stay untouched. 0 if the model cannot be streamed.
GRUCORE_API uint64_t step(Stream* stream, const void* const* inputs, void* const* outputs) noexcept;
// The same for `count` rows (ascending, each once) only; other rows of state and outputs stay untouched.
GRUCORE_API uint64_t step_rows(Stream* stream, const void* const* inputs, void* const* outputs, const uint32_t* rows,
                               uint32_t count) noexcept;

// Where frames are read: row after row, frame after frame.
struct ConstSignal {
  const void* data;
  size_t row_stride;    // elements from one row to the next
  size_t frame_stride;  // elements from one frame to the next; features are contiguous
};

// Where frames are written.
struct Signal {
  void* data;
  size_t row_stride;
  size_t frame_stride;  // not read at rate kSequence
};

// How many values of an output the next `frames` frames of a row give: 1 for one per sequence.
GRUCORE_API uint32_t output_frames(const Stream* stream, uint32_t output, uint32_t row, uint32_t frames) noexcept;

// `frames` frames of every row, continuing the state. lengths[row] <= frames (or null: all are full);
// past its length a row's state stays and its outputs are 0. outputs[i] has room for output_frames(...)
// values of each row. A model that cannot stream takes the frames
// as a whole sequence, frames <= options.block, and starts its reverse directions from their state.
GRUCORE_API void run(Stream* stream, uint32_t frames, const ConstSignal* inputs, const Signal* outputs,
                     const uint32_t* lengths) noexcept;

// Copies of one state of one row: size floats.
GRUCORE_API void get_state(const Stream* stream, uint32_t state, uint32_t row, float* out) noexcept;
GRUCORE_API void set_state(Stream* stream, uint32_t state, uint32_t row, const float* values) noexcept;

// Makes `to` what `from` is: all states, public and internal, and the frames seen. Both are streams of one
// model with the same batch; blocks may differ.
GRUCORE_API void copy_stream(const Stream* from, Stream* to) noexcept;

// The events since the last call of take_flags.
constexpr uint32_t kFlagNonfiniteInput = 1;   // a NaN or infinity came in
constexpr uint32_t kFlagNonfiniteOutput = 2;  // a NaN or infinity went out, from finite or other input
GRUCORE_API uint32_t take_flags(Stream* stream) noexcept;

}  // namespace grucore

#endif  // GRUCORE_GRUCORE_H_
