# Checks arrays and takes their addresses: a few inline field reads, about 10 ns for an argument.
# SPDX-License-Identifier: Apache-2.0
from cpython.object cimport PyTypeObject
from libc.stdint cimport uint32_t
from grucore cimport _cpp as cpp
from grucore._cpp cimport MAX_PORTS, PyArrayObject, npy_intp

cdef enum:
    # The flags of numpy's arrays, as constants.
    ALIGNED = 0x100
    READ = ALIGNED | 0x001  # contiguous in C order
    WRITEABLE = 0x400
    WRITE = READ | WRITEABLE


# The arguments of run.
cdef struct Sequence:
    cpp.ConstSignal sources[MAX_PORTS]
    cpp.Signal targets[MAX_PORTS]


cdef inline bint is_plain(object value, PyTypeObject* ndarray, int dtype, int flags) noexcept:
    """True if `value` is exactly an ndarray, of this dtype in native byte order, with the flags."""
    cdef PyArrayObject* array = <PyArrayObject*>value
    return (
        cpp.type_of(value) == ndarray
        and cpp.PyArray_TYPE(array) == dtype
        and (cpp.PyArray_FLAGS(array) & flags) == flags
        and cpp.PyArray_ISNOTSWAPPED(array)
    )


cdef inline bint is_plain_of(
    object value, PyTypeObject* ndarray, cpp.Dtype dtype, int flags
) noexcept:
    """The same for the dtype of an input or output."""
    if dtype == cpp.Dtype.kFloat32:
        return is_plain(value, ndarray, cpp.NPY_FLOAT, flags)
    # Where int and long have 32 bits both, numpy has two types of them.
    return (is_plain(value, ndarray, cpp.NPY_INT32, flags)
            or is_plain(value, ndarray, cpp.NPY_INT, flags))


cdef inline bint is_frame(
    object value, PyTypeObject* ndarray, int rank, npy_intp rows, npy_intp features, int flags,
    cpp.Dtype dtype=cpp.Dtype.kFloat32
) noexcept:
    """True if `value` is a plain array of (features,) at rank 1, or (rows, features)."""
    cdef npy_intp* dims
    if not is_plain_of(value, ndarray, dtype, flags):
        return False
    if cpp.PyArray_NDIM(<PyArrayObject*>value) != rank:
        return False
    dims = cpp.PyArray_DIMS(<PyArrayObject*>value)
    if rank == 1:
        return dims[0] == features
    return dims[0] == rows and dims[1] == features


cdef inline bint is_single(const cpp.Model* model, npy_intp rows) noexcept:
    """One float32 input, one float32 output that every step writes for all rows or for none."""
    cdef cpp.PortInfo x = cpp.input_info(model, 0)
    cdef cpp.PortInfo y = cpp.output_info(model, 0)
    return (
        cpp.input_count(model) == 1 and cpp.output_count(model) == 1
        and x.dtype == cpp.Dtype.kFloat32 and y.dtype == cpp.Dtype.kFloat32
        and (rows == 1 or (y.period == 1 and y.skip == 0))
    )


cdef inline bint overlap(object x, npy_intp width, object out) noexcept:
    """True if contiguous arrays share memory: of values of so many bytes at most, and of four."""
    cdef char* first = <char*>cpp.PyArray_DATA(<PyArrayObject*>x)
    cdef char* second = <char*>cpp.PyArray_DATA(<PyArrayObject*>out)
    return (first < second + 4 * cpp.PyArray_SIZE(<PyArrayObject*>out)
            and second < first + width * cpp.PyArray_SIZE(<PyArrayObject*>x))


cdef inline int check_counts(const cpp.Model* model, tuple inputs, tuple outputs) except -1:
    if (<uint32_t>len(inputs) != cpp.input_count(model)
            or <uint32_t>len(outputs) != cpp.output_count(model)):
        raise ValueError("expected one array for each input and output of the model")
    return 0


cdef inline int take_signal(
    cpp.Signal* signal, object value, PyTypeObject* ndarray, npy_intp rows, npy_intp frames,
    const cpp.PortInfo* info, int flags
) except -1:
    """Address and strides of an array (rows, frames, features) of contiguous features."""
    cdef npy_intp features = info.features
    cdef PyArrayObject* array = <PyArrayObject*>value
    cdef npy_intp* dims
    cdef npy_intp* strides
    if not is_plain_of(value, ndarray, info.dtype, flags) or cpp.PyArray_NDIM(array) != 3:
        raise TypeError("expected an aligned array of three dimensions and the right dtype")
    dims = cpp.PyArray_DIMS(array)
    strides = cpp.PyArray_STRIDES(array)
    if dims[0] != rows or dims[1] != frames or dims[2] != features:
        raise ValueError(f"expected the shape {(rows, frames, features)}")
    # The stride of an axis with one element means nothing.
    if ((rows > 1 and (strides[0] < 0 or strides[0] % 4))
            or (frames > 1 and (strides[1] < 0 or strides[1] % 4))
            or (features > 1 and rows > 0 and frames > 0 and strides[2] != 4)):
        raise ValueError("expected contiguous features, and ascending rows and frames")
    signal.data = cpp.PyArray_DATA(array)
    signal.row_stride = strides[0] // 4
    signal.frame_stride = strides[1] // 4
    return 0


cdef inline npy_intp output_frames(
    const cpp.Stream* stream, uint32_t output, npy_intp rows, npy_intp frames
) except -1:
    """Values that so many frames give of an output, for every row alike."""
    cdef uint32_t count = cpp.output_frames(stream, output, 0, <uint32_t>frames)
    cdef uint32_t row, other
    for row in range(1, <uint32_t>rows):
        other = cpp.output_frames(stream, output, row, <uint32_t>frames)
        if other != count:
            raise ValueError(
                f"the rows of the stream are not at the same frame: these frames give {count} "
                f"values of output {output} for row 0, {other} for row {row}")
    return count


cdef inline int take_sequence(
    Sequence* block, const cpp.Model* model, const cpp.Stream* stream, PyTypeObject* ndarray,
    npy_intp rows, npy_intp frames, tuple inputs, tuple outputs
) except -1:
    """Signals of a block: an output per sequence has one frame."""
    cdef cpp.Signal signal
    cdef cpp.PortInfo info
    cdef npy_intp written
    cdef uint32_t i
    check_counts(model, inputs, outputs)
    for i in range(len(inputs)):
        info = cpp.input_info(model, i)
        take_signal(&signal, inputs[i], ndarray, rows, frames, &info, ALIGNED)
        block.sources[i].data = signal.data
        block.sources[i].row_stride = signal.row_stride
        block.sources[i].frame_stride = signal.frame_stride
    for i in range(len(outputs)):
        info = cpp.output_info(model, i)
        written = output_frames(stream, i, rows, frames)
        take_signal(&block.targets[i], outputs[i], ndarray, rows, written, &info,
                    ALIGNED | WRITEABLE)
    return 0


cdef inline const uint32_t* take_numbers(
    object value, PyTypeObject* ndarray, npy_intp count, uint32_t most, bint ascending
) except? NULL:
    """Address of a contiguous uint32 array of numbers up to `most`; `count` of them, or -1: any."""
    cdef PyArrayObject* array = <PyArrayObject*>value
    cdef const uint32_t* data
    cdef npy_intp i
    if not is_plain(value, ndarray, cpp.NPY_UINT32, READ) or cpp.PyArray_NDIM(array) != 1:
        raise TypeError("expected a contiguous uint32 array of one dimension")
    if count >= 0 and cpp.PyArray_DIMS(array)[0] != count:
        raise ValueError(f"expected {count} numbers")
    data = <const uint32_t*>cpp.PyArray_DATA(array)
    for i in range(cpp.PyArray_DIMS(array)[0]):
        if data[i] > most or (ascending and i > 0 and data[i] <= data[i - 1]):
            raise ValueError(f"expected {'ascending ' if ascending else ''}numbers up to {most}")
    return data


cdef inline int check_state(
    const cpp.Model* model, uint32_t index, object value, PyTypeObject* ndarray, npy_intp rows,
    int flags
) except -1:
    """Refuse what is not a plain array (rows, size) for this state."""
    cdef npy_intp size
    if index >= cpp.state_count(model):
        raise IndexError(f"no state {index}")
    size = cpp.state_info(model, index).size
    if not is_frame(value, ndarray, 2, rows, size, flags):
        raise TypeError(f"expected a plain float32 array of shape {(rows, size)}")
    return 0


cdef inline npy_intp rows_from(npy_intp rows, npy_intp first, npy_intp count) except -1:
    """How many rows `count` from `first` on are; 0: all. IndexError if there are not as many."""
    if first + count > rows:
        raise IndexError(f"rows {first} to {first + count} of {rows}")
    return count if count else rows
