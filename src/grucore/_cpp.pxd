# The only externs: the engine's interface, the fields of a numpy array, and one flag.
# SPDX-License-Identifier: Apache-2.0
from cpython.object cimport PyTypeObject
from libc.stdint cimport uint8_t, uint32_t, uint64_t


cdef extern from "grucore/grucore.h" namespace "grucore" nogil:
    cdef enum class Status(uint8_t):
        kOk

    const char* status_name(Status status) noexcept
    const char* status_meaning(Status status) noexcept

    const uint32_t kNone

    cdef struct Text:
        const char* bytes
        uint32_t length

    cdef cppclass LoadReport:
        Status status
        uint64_t offset
        uint32_t node
        uint32_t role
        Text node_name
        uint64_t found
        uint64_t expected

    const char* role_name(uint32_t role) noexcept

    cdef enum class Isa(uint8_t):
        pass
    const uint32_t kIsaCount

    cdef enum class Numerics(uint8_t):
        pass

    const char* isa_name(Isa isa) noexcept
    bint isa_supported(Isa isa) noexcept
    Isa best_isa() noexcept

    cdef cppclass MemoryPlan:
        size_t bytes
    const size_t kAlignment

    cdef cppclass Model:
        pass
    cdef cppclass Stream:
        pass

    cdef enum class Rate(uint8_t):
        kFrame
        kPeriod
        kSequence

    cdef enum class Dtype(uint8_t):
        kFloat32
        kInt32

    cdef struct PortInfo:
        Text name
        uint32_t features
        uint32_t period
        uint32_t skip
        uint32_t ids
        Dtype dtype
        Rate rate

    cdef struct StateInfo:
        Text node
        const char* suffix
        uint32_t size
        uint32_t frames
        uint32_t channels
        bint is_public

    cdef struct TestVector:
        const void* data
        uint32_t frames

    Status plan_model(const void* file, size_t file_bytes, MemoryPlan* plan,
                      LoadReport* report) noexcept
    Status load(const void* file, size_t file_bytes, Isa isa, void* arena, size_t arena_bytes,
                const Model** model, LoadReport* report) noexcept

    Isa model_isa(const Model* model) noexcept
    Numerics model_numerics(const Model* model) noexcept
    bint rounds_activations(const Model* model) noexcept
    uint32_t input_count(const Model* model) noexcept
    uint32_t output_count(const Model* model) noexcept
    PortInfo input_info(const Model* model, uint32_t index) noexcept
    PortInfo output_info(const Model* model, uint32_t index) noexcept
    uint32_t state_count(const Model* model) noexcept
    StateInfo state_info(const Model* model, uint32_t index) noexcept
    TestVector test_input(const Model* model, uint32_t index) noexcept
    TestVector test_output(const Model* model, uint32_t index) noexcept
    Text model_metadata(const Model* model) noexcept
    uint32_t first_unstreamable_node(const Model* model) noexcept
    Text node_name(const Model* model, uint32_t node) noexcept
    uint64_t macs_per_frame(const Model* model) noexcept

    cdef enum class Nonfinite(uint8_t):
        kPropagate
        kHold

    cdef cppclass StreamOptions:
        uint32_t batch
        uint32_t block
        Nonfinite nonfinite

    Status plan_stream(const Model* model, const StreamOptions& options, MemoryPlan* plan) noexcept
    Status init_stream(const Model* model, const StreamOptions& options, void* arena,
                       size_t arena_bytes, Stream** stream) noexcept

    void reset(Stream* stream) noexcept
    void reset_rows(Stream* stream, const uint32_t* rows, uint32_t count) noexcept
    uint64_t step(Stream* stream, const void* const* inputs, void* const* outputs) noexcept
    uint64_t step_rows(Stream* stream, const void* const* inputs, void* const* outputs,
                       const uint32_t* rows, uint32_t count) noexcept

    cdef struct ConstSignal:
        const void* data
        size_t row_stride
        size_t frame_stride

    cdef struct Signal:
        void* data
        size_t row_stride
        size_t frame_stride

    uint32_t output_frames(const Stream* stream, uint32_t output, uint32_t row,
                           uint32_t frames) noexcept
    void run(Stream* stream, uint32_t frames, const ConstSignal* inputs, const Signal* outputs,
             const uint32_t* lengths) noexcept
    void get_state(const Stream* stream, uint32_t state, uint32_t row, float* out) noexcept
    void set_state(Stream* stream, uint32_t state, uint32_t row, const float* values) noexcept

    void copy_stream(const Stream* source, Stream* to) noexcept
    const uint32_t kFlagNonfiniteInput
    const uint32_t kFlagNonfiniteOutput
    uint32_t take_flags(Stream* stream) noexcept


cdef extern from *:
    """
    #define GRUCORE_STATUS(name, number, python, meaning) #python,
    static const char* const grucore_status_python[] = {
    #include "grucore/status.inc"
    };
    #undef GRUCORE_STATUS
    static const int grucore_status_count =
        sizeof grucore_status_python / sizeof *grucore_status_python;
    """
    # The Python error of each status, as the list names it.
    const char** status_python "grucore_status_python"
    const int status_count "grucore_status_count"


cdef extern from *:
    """
    #include "format/crc32c.h"
    #include "format/layout.h"
    #include "layers/layer.h"

    struct GrucoreNumber {
      const char* list;
      const char* name;
      long long number;
    };
    static const GrucoreNumber grucore_numbers[] = {
    #define GRUCORE_ROLE(enumerator, number, name) {"roles", #name, number},
    #include "format/roles.inc"
    #define GRUCORE_TENSOR_DTYPE(enumerator, number, name, bits) {"dtypes", #name, number},
    #include "format/dtypes.inc"
    #define GRUCORE_LAYOUT(enumerator, number, name) {"layouts", #name, number},
    #include "format/layouts.inc"
    #define GRUCORE_LIMIT(constant, most, name) {"limits", #name, most},
    #include "format/limits.inc"
    #define GRUCORE_ACTIVATION(enumerator, code, name, parameters) {"activations", #name, code},
    #include "kernels/activations.inc"
    };
    #undef GRUCORE_ROLE
    #undef GRUCORE_TENSOR_DTYPE
    #undef GRUCORE_LAYOUT
    #undef GRUCORE_LIMIT
    #undef GRUCORE_ACTIVATION
    static const int grucore_number_count = sizeof grucore_numbers / sizeof *grucore_numbers;

    static inline const char* grucore_kind_name(uint32_t number) {
      const grucore::detail::LayerKind* kind = grucore::detail::find_layer_kind(number);
      return kind ? kind->name : "";
    }
    """
    # The numbers of docs/format.md, as the engine's lists have them.
    ctypedef struct Number "GrucoreNumber":
        const char* list
        const char* name
        long long number
    const Number* numbers "grucore_numbers"
    const int number_count "grucore_number_count"
    const char* kind_name "grucore_kind_name"(uint32_t number)

    uint32_t crc32c "grucore::detail::crc32c"(
        uint32_t crc, const void* data, size_t count) noexcept nogil
    enum:
        MAX_PORTS "grucore::detail::kMaxPorts"


# Fields of arrays are read inline, without numpy's table of functions and so without importing it.
cdef extern from "numpy/arrayobject.h":
    ctypedef Py_ssize_t npy_intp
    ctypedef struct PyArrayObject:
        pass
    int NPY_BOOL
    int NPY_FLOAT
    int NPY_DOUBLE
    int NPY_INT
    int NPY_INT32
    int NPY_UINT32
    int NPY_INT64
    int NPY_LONGLONG
    int PyArray_NDIM(PyArrayObject* array) nogil
    int PyArray_TYPE(PyArrayObject* array) nogil
    int PyArray_FLAGS(PyArrayObject* array) nogil
    bint PyArray_ISNOTSWAPPED(PyArrayObject* array) nogil
    npy_intp* PyArray_DIMS(PyArrayObject* array) nogil
    npy_intp* PyArray_STRIDES(PyArrayObject* array) nogil
    npy_intp PyArray_SIZE(PyArrayObject* array) nogil
    void* PyArray_DATA(PyArrayObject* array) nogil
    # These use the table: call them after learn_numpy() only.
    int _import_array() except -1
    object PyArray_SimpleNew(int ndim, npy_intp* dims, int type_num)
    object PyArray_ZEROS(int ndim, npy_intp* dims, int type_num, int fortran)


cdef extern from *:
    """
    // Taken when a call enters a stream. Under a GIL a plain byte will do.
    #ifdef Py_GIL_DISABLED
    #include <atomic>
    struct GrucoreFlag {
      std::atomic<unsigned char> taken{0};
      bool take() { return taken.exchange(1, std::memory_order_acquire) == 0; }
      void give() { taken.store(0, std::memory_order_release); }
    };
    #else
    struct GrucoreFlag {
      unsigned char taken = 0;
      bool take() { return taken ? false : (taken = 1); }
      void give() { taken = 0; }
    };
    #endif
    """
    cdef cppclass Flag "GrucoreFlag":
        bint take() nogil
        void give() nogil


cdef extern from "Python.h":
    # Through a pointer: a type held as a Python object would be counted on every call.
    PyTypeObject* type_of "Py_TYPE"(object value)
