/* The C interface of the engine: what grucore.h is in C++, with the same rules. Memory is the caller's
   throughout; nothing allocates, locks or fails once a stream is made.
   SPDX-License-Identifier: Apache-2.0 */
#ifndef GRUCORE_GRUCORE_C_H_
#define GRUCORE_GRUCORE_C_H_

#include <stddef.h>
#include <stdint.h>

#include "grucore/export.h"
#include "grucore/version.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Of the library that is linked, as GRUCORE_VERSION is of the header. */
GRUCORE_API uint32_t grucore_version(void);

/* GRUCORE_kOk, GRUCORE_kTruncated, ...: the list and its meanings are in status.inc. */
typedef uint32_t grucore_status;
enum {
#define GRUCORE_STATUS(name, number, python, meaning) GRUCORE_##name = number,
#include "grucore/status.inc"
#undef GRUCORE_STATUS
};

GRUCORE_API const char* grucore_status_name(grucore_status status);    /* "kBadMagic" */
GRUCORE_API const char* grucore_status_meaning(grucore_status status); /* one sentence */

#define GRUCORE_NONE 0xffffffffu /* in place of an index or a role where there is none */
#define GRUCORE_ALIGNMENT 64     /* of files and arenas */

/* Letters of the file, in UTF-8; no zero ends them. */
typedef struct grucore_text {
  const char* bytes;
  uint32_t length;
} grucore_text;

/* Where a file was refused, and what stood there. Written on failure only. */
typedef struct grucore_report {
  grucore_status status;
  uint32_t node;          /* index, or GRUCORE_NONE */
  uint32_t role;          /* of the tensor (docs/format.md), or GRUCORE_NONE */
  grucore_text node_name; /* of the node; empty where the file's name for it is no name */
  uint64_t offset;
  uint64_t found;
  uint64_t expected;
} grucore_report;

GRUCORE_API const char* grucore_role_name(uint32_t role); /* "weight_ih"; "" for a number that is no role */

/* GRUCORE_ISA_scalar, GRUCORE_ISA_avx2, ...: isa_list.inc. */
typedef uint32_t grucore_isa;
enum {
#define GRUCORE_ISA_ROW(name, number, numerics, architecture, feature) GRUCORE_ISA_##name = number,
#include "grucore/isa_list.inc"
#undef GRUCORE_ISA_ROW
};

GRUCORE_API const char* grucore_isa_name(grucore_isa isa); /* "avx2" */
GRUCORE_API int grucore_isa_supported(grucore_isa isa);    /* compiled in, and this machine can run it */
GRUCORE_API grucore_isa grucore_best_isa(void);            /* see best_isa of grucore.h */

/* ---------------------------------------------------------------------------------------------- models */

typedef struct grucore_model grucore_model;   /* immutable: any number of threads may use it */
typedef struct grucore_stream grucore_stream; /* one thread at a time */

/* Bytes of the arena that grucore_load needs. Reads the header only. `report` may be null. */
GRUCORE_API grucore_status grucore_plan_model(const void* file, size_t file_bytes, size_t* arena_bytes,
                                              grucore_report* report);

/* Checks the whole file and builds the model in `arena`. The model keeps pointers into `file`, which must stay
   and not change. Both must be aligned to GRUCORE_ALIGNMENT. `*model` is written on success only. */
GRUCORE_API grucore_status grucore_load(const void* file, size_t file_bytes, grucore_isa isa, void* arena,
                                        size_t arena_bytes, const grucore_model** model, grucore_report* report);

/* An input or an output of the model. */
typedef struct grucore_port {
  grucore_text name;
  uint32_t features;
  uint32_t period; /* frames of the input from one value to the next */
  uint32_t skip;   /* first frames of a stream without a value */
  uint32_t ids;    /* of an input: the ids that embeddings have for it; 0: no embedding reads it */
  uint32_t dtype;  /* 0: float, 1: int32_t */
  uint32_t rate;   /* 0: per frame, 1: per `period` frames, 2: per sequence */
} grucore_port;

/* What a stream carries from frame to frame. */
typedef struct grucore_state {
  grucore_text node;
  const char* suffix; /* the state is called "<node><suffix>" */
  uint32_t size;      /* floats for each row */
  uint32_t frames;    /* of a history: size is frames x channels, oldest first; 0: a vector */
  uint32_t channels;
  int is_public;
} grucore_state;

/* Frames of an input that the file holds, or what the model gives for them. */
typedef struct grucore_test_vector {
  const void* data; /* (frames, features), or (features,) at rate 2 */
  uint32_t frames;  /* 0: the file has none */
} grucore_test_vector;

/* The kernel table that grucore_load was given, and the class of the model's float results. */
GRUCORE_API grucore_isa grucore_model_isa(const grucore_model* model);
GRUCORE_API uint32_t
grucore_model_numerics(const grucore_model* model); /* 0: exact, 1: fused, 2: muladd (docs/numerics.md) */
/* Whether some layer rounds what it multiplies to integers. */
GRUCORE_API int grucore_rounds_activations(const grucore_model* model);
/* Inputs and outputs, states, the test vector, and the metadata as JSON. */
GRUCORE_API uint32_t grucore_input_count(const grucore_model* model);
GRUCORE_API uint32_t grucore_output_count(const grucore_model* model);
GRUCORE_API grucore_port grucore_input_info(const grucore_model* model, uint32_t index);
GRUCORE_API grucore_port grucore_output_info(const grucore_model* model, uint32_t index);
GRUCORE_API uint32_t grucore_state_count(const grucore_model* model);
GRUCORE_API grucore_state grucore_state_info(const grucore_model* model, uint32_t index);
GRUCORE_API grucore_test_vector grucore_test_input(const grucore_model* model, uint32_t index);
GRUCORE_API grucore_test_vector grucore_test_output(const grucore_model* model, uint32_t index);
GRUCORE_API grucore_text grucore_model_metadata(const grucore_model* model);
/* The first node that reads the future, or GRUCORE_NONE when the model can be stepped. */
GRUCORE_API uint32_t grucore_first_unstreamable_node(const grucore_model* model);
/* The layer's name, and the multiply-adds of one frame through every per-frame node. */
GRUCORE_API grucore_text grucore_node_name(const grucore_model* model, uint32_t node);
GRUCORE_API uint64_t grucore_macs_per_frame(const grucore_model* model);

/* --------------------------------------------------------------------------------------------- streams */

/* How a stream is made. */
typedef struct grucore_stream_options {
  uint32_t batch; /* rows, at least 1 */
  uint32_t block; /* frames that grucore_run works on at a time, at least 1 */
  uint32_t hold;  /* 0: a non-finite frame propagates; 1: it is skipped and its outputs are NaN */
} grucore_stream_options;

/* Bytes of the arena that a stream needs, and the stream itself, made in such an arena. */
GRUCORE_API grucore_status grucore_plan_stream(const grucore_model* model, const grucore_stream_options* options,
                                               size_t* arena_bytes);
GRUCORE_API grucore_status grucore_init_stream(const grucore_model* model, const grucore_stream_options* options,
                                               void* arena, size_t arena_bytes, grucore_stream** stream);

/* Back to the initial state: every row, or `count` rows. */
GRUCORE_API void grucore_reset(grucore_stream* stream);
GRUCORE_API void grucore_reset_rows(grucore_stream* stream, const uint32_t* rows, uint32_t count);

/* One frame of every row. inputs[i] is (batch, features), outputs[i] is (batch, features), contiguous.
   Returns a mask of the outputs written: 0 where the model cannot be stepped. */
GRUCORE_API uint64_t grucore_step(grucore_stream* stream, const void* const* inputs, void* const* outputs);
/* The same for `count` rows only, ascending, each once; everything else stays untouched. */
GRUCORE_API uint64_t grucore_step_rows(grucore_stream* stream, const void* const* inputs, void* const* outputs,
                                       const uint32_t* rows, uint32_t count);

/* Where frames are read: row after row, frame after frame. */
typedef struct grucore_const_signal {
  const void* data;
  size_t row_stride;   /* elements from one row to the next */
  size_t frame_stride; /* elements from one frame to the next; features are contiguous */
} grucore_const_signal;

/* Where frames are written. */
typedef struct grucore_signal {
  void* data;
  size_t row_stride;
  size_t frame_stride; /* not read at rate 2 */
} grucore_signal;

/* How many values of an output the next `frames` frames of a row give: 1 for one per sequence. */
GRUCORE_API uint32_t grucore_output_frames(const grucore_stream* stream, uint32_t output, uint32_t row,
                                           uint32_t frames);

/* `frames` frames of every row, continuing the state. lengths[row] <= frames, or null: all are full; past its
   length a row's state stays and its outputs are 0. outputs[i] has room for grucore_output_frames(...) values of each
   row. A model that cannot stream takes the frames as a whole sequence, frames <= options.block, and starts its reverse
   directions from their state. */
GRUCORE_API void grucore_run(grucore_stream* stream, uint32_t frames, const grucore_const_signal* inputs,
                             const grucore_signal* outputs, const uint32_t* lengths);

/* Copies of one state of one row: `size` floats. */
GRUCORE_API void grucore_get_state(const grucore_stream* stream, uint32_t state, uint32_t row, float* out);
GRUCORE_API void grucore_set_state(grucore_stream* stream, uint32_t state, uint32_t row, const float* values);

/* Makes `to` what `from` is: all states, public and internal, and the frames seen. Both are streams of one model with
   the same batch; blocks may differ. */
GRUCORE_API void grucore_copy_stream(const grucore_stream* from, grucore_stream* to);

/* The events since the last call: a NaN or infinity came in, or went out. */
#define GRUCORE_FLAG_NONFINITE_INPUT 1u
#define GRUCORE_FLAG_NONFINITE_OUTPUT 2u
GRUCORE_API uint32_t grucore_take_flags(grucore_stream* stream);

#ifdef __cplusplus
}
#endif

#endif /* GRUCORE_GRUCORE_C_H_ */
