# The arguments of `step`: plain arrays where they are, other numbers through memory of the stream.
# SPDX-License-Identifier: Apache-2.0
from cpython.long cimport PyLong_AsLongLongAndOverflow
from cpython.object cimport PyObject_TypeCheck, PyTypeObject
from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memset
from grucore cimport _cpp as cpp
from grucore._arguments cimport READ, WRITE, is_frame, is_plain, overlap
from grucore._cpp cimport MAX_PORTS, PyArrayObject, npy_intp
from grucore._memory cimport Block, allocate, release


# One call of `step`.
cdef struct Frame:
    const void* sources[MAX_PORTS]
    void* targets[MAX_PORTS]
    const uint32_t* rows    # the active ones, ascending; NULL: all
    uint32_t count

# The arguments that a stream expects, and memory for those that are converted: only a call that
# has entered the stream may write there. The memory comes with the first call that needs it.
cdef struct Expected:
    const cpp.Model* model
    PyTypeObject* ndarray
    PyTypeObject* integer   # numpy's scalars
    npy_intp rows
    int rank                # of an input frame: 1, or 2 with a batch
    bint keeps_inputs       # no output may overwrite them
    int64_t ids[MAX_PORTS]  # how many an embedding has for this input; 0: any number will do
    Block values
    Block numbers

ctypedef fused Integer:
    int32_t
    int64_t
    uint32_t


cdef inline int expect(
    Expected* expected, const cpp.Model* model, object batch, bint keeps_inputs
) except -1:
    """Fill all but the types."""
    cdef uint32_t i
    expected.model = model
    expected.rows = 1 if batch is None else batch
    expected.rank = 1 if batch is None else 2
    expected.keeps_inputs = keeps_inputs
    for i in range(cpp.input_count(model)):
        expected.ids[i] = cpp.input_info(model, i).ids
    return 0


cdef inline void forget(Expected* expected) noexcept:
    release(&expected.numbers)
    release(&expected.values)


cdef inline bint copy_ids(
    const Integer* ids, npy_intp count, int64_t least, int64_t most, int32_t* to
) noexcept nogil:
    """True if all of them are in range; checked as they are copied, since others may write them."""
    cdef npy_intp i
    cdef Integer id
    for i in range(count):
        id = ids[i]
        if <int64_t>id < least or <int64_t>id > most:
            return False
        to[i] = <int32_t>id
    return True


cdef inline int64_t marked_rows(const uint8_t* marks, npy_intp count, uint32_t* to) noexcept nogil:
    """How many rows are marked."""
    cdef int64_t found = 0
    cdef npy_intp i
    for i in range(count):
        to[found] = <uint32_t>i
        found += marks[i] != 0
    return found


cdef inline int64_t copy_rows(
    const Integer* given, npy_intp count, npy_intp rows, uint32_t* to, uint8_t* marks
) noexcept nogil:
    """How many rows are named, in any order, negative ones from the end; -1 where that is wrong."""
    cdef bint ascending = True
    cdef int64_t row, before = -1
    cdef npy_intp i
    for i in range(count):
        row = given[i]
        ascending = ascending and row > before and row < rows
        to[i] = <uint32_t>row
        before = row
    if ascending:
        return count
    memset(marks, 0, rows)
    for i in range(count):
        row = given[i]
        row += rows if row < 0 else 0
        if row < 0 or row >= rows or marks[row]:
            return -1
        marks[row] = 1
    return marked_rows(marks, rows, to)


cdef inline bint is_of(object value, PyTypeObject* ndarray, int dtype, int same) noexcept:
    """True if it is a plain array of either dtype: numpy has two of one size."""
    return is_plain(value, ndarray, dtype, READ) or is_plain(value, ndarray, same, READ)


cdef inline void* converted_at(Expected* expected, uint32_t index) except NULL:
    """Where an input is converted to."""
    cdef size_t before = 0, features = 0
    cdef uint32_t i
    for i in range(cpp.input_count(expected.model)):
        if i == index:
            before = features
        features += cpp.input_info(expected.model, i).features
    if expected.values.data == NULL:
        allocate(&expected.values, features * expected.rows * 4)
    return <char*>expected.values.data + before * expected.rows * 4


cdef inline bint has_shape(
    const Expected* expected, object value, npy_intp features, bint is_id
) noexcept:
    """(features,) or (rows, features); one id of each frame may come without its axis."""
    cdef PyArrayObject* array = <PyArrayObject*>value
    cdef npy_intp* dims = cpp.PyArray_DIMS(array)
    cdef int axes = cpp.PyArray_NDIM(array)
    if axes != expected.rank and not (is_id and axes == expected.rank - 1):
        return False
    if expected.rank == 2 and dims[0] != expected.rows:
        return False
    return axes != expected.rank or dims[axes - 1] == features


cdef inline const void* take_floats(
    Expected* expected, object value, uint32_t index, npy_intp features
) except? NULL:
    cdef const double* wide
    cdef float* to
    cdef npy_intp i
    if is_plain(value, expected.ndarray, cpp.NPY_FLOAT, READ):
        if not has_shape(expected, value, features, False):
            return NULL
        return cpp.PyArray_DATA(<PyArrayObject*>value)
    if (not is_plain(value, expected.ndarray, cpp.NPY_DOUBLE, READ)
            or not has_shape(expected, value, features, False)):
        return NULL
    wide = <const double*>cpp.PyArray_DATA(<PyArrayObject*>value)
    to = <float*>converted_at(expected, index)
    for i in range(expected.rows * features):
        to[i] = <float>wide[i]
    return to


cdef inline const void* take_ids(
    Expected* expected, object value, uint32_t index, npy_intp features
) except? NULL:
    cdef int64_t least = 0 if expected.ids[index] else -(<int64_t>1 << 31)
    cdef int64_t most = expected.ids[index] - 1 if expected.ids[index] else (<int64_t>1 << 31) - 1
    cdef npy_intp count = expected.rows * features
    cdef int32_t* to = <int32_t*>converted_at(expected, index)
    cdef int64_t id
    cdef int beyond = 0
    cdef bint good = False
    if cpp.type_of(value) == expected.ndarray:
        if not has_shape(expected, value, features, features == 1):
            return NULL
        data = cpp.PyArray_DATA(<PyArrayObject*>value)
        if is_of(value, expected.ndarray, cpp.NPY_INT64, cpp.NPY_LONGLONG):
            good = copy_ids[int64_t](<const int64_t*>data, count, least, most, to)
        elif is_of(value, expected.ndarray, cpp.NPY_INT32, cpp.NPY_INT):
            good = copy_ids[int32_t](<const int32_t*>data, count, least, most, to)
    elif expected.rank == 1 and features == 1 and (
        isinstance(value, int) or PyObject_TypeCheck(value, expected.integer)
    ):
        id = PyLong_AsLongLongAndOverflow(value, &beyond)
        good = not beyond and copy_ids[int64_t](&id, 1, least, most, to)
    return to if good else NULL


cdef inline bint take_rows(Expected* expected, Frame* frame, object active) except -1:
    """True if `active` is bool (rows,), or numbers of rows, each once."""
    cdef PyArrayObject* array = <PyArrayObject*>active
    cdef int64_t found = -1
    cdef npy_intp count
    cdef uint32_t* to
    cdef uint8_t* marks
    frame.rows = NULL
    if active is None:
        return True
    if (expected.rank == 1 or cpp.type_of(active) != expected.ndarray
            or cpp.PyArray_NDIM(array) != 1 or cpp.PyArray_DIMS(array)[0] > expected.rows):
        return False
    if expected.numbers.data == NULL:
        allocate(&expected.numbers, expected.rows * 5)
    to = <uint32_t*>expected.numbers.data
    marks = <uint8_t*>(to + expected.rows)
    count = cpp.PyArray_DIMS(array)[0]
    data = cpp.PyArray_DATA(array)
    if is_plain(active, expected.ndarray, cpp.NPY_BOOL, READ):
        if count == expected.rows:
            found = marked_rows(<const uint8_t*>data, count, to)
    elif is_of(active, expected.ndarray, cpp.NPY_INT64, cpp.NPY_LONGLONG):
        found = copy_rows[int64_t](<const int64_t*>data, count, expected.rows, to, marks)
    elif is_of(active, expected.ndarray, cpp.NPY_INT32, cpp.NPY_INT):
        found = copy_rows[int32_t](<const int32_t*>data, count, expected.rows, to, marks)
    elif is_plain(active, expected.ndarray, cpp.NPY_UINT32, READ):
        found = copy_rows[uint32_t](<const uint32_t*>data, count, expected.rows, to, marks)
    frame.rows = to
    frame.count = <uint32_t>found
    return found >= 0


cdef inline bint touches(const Expected* expected, object value, object target) noexcept:
    """True if an input shares memory with an output."""
    cdef int width = 4
    if cpp.type_of(value) != expected.ndarray:
        return False
    if cpp.PyArray_TYPE(<PyArrayObject*>value) in (cpp.NPY_DOUBLE, cpp.NPY_INT64, cpp.NPY_LONGLONG):
        width = 8
    return overlap(value, width, target)


cdef inline object new_output(const Expected* expected, const cpp.PortInfo* info, bint sparse):
    """An array for an output, of zeros where some rows of it may not be written."""
    cdef int dtype = cpp.NPY_FLOAT if info.dtype == cpp.Dtype.kFloat32 else cpp.NPY_INT32
    cdef npy_intp dims[2]
    dims[0] = expected.rows
    dims[1] = info.features
    if sparse or info.period != 1 or info.skip:
        return cpp.PyArray_ZEROS(expected.rank, dims + 2 - expected.rank, dtype, 0)
    return cpp.PyArray_SimpleNew(expected.rank, dims + 2 - expected.rank, dtype)


cdef inline object take_step(Expected* expected, Frame* frame, object x, object out, object active):
    """Fill the frame and return the outputs; None where an argument has to be looked at closer."""
    cdef uint32_t inputs = cpp.input_count(expected.model)
    cdef uint32_t outputs = cpp.output_count(expected.model)
    cdef cpp.PortInfo info
    cdef uint32_t i, j
    if (not take_rows(expected, frame, active)
            or (inputs > 1 and (type(x) is not tuple or <uint32_t>len(x) != inputs))
            or (outputs > 1 and out is not None
                and (type(out) is not tuple or <uint32_t>len(out) != outputs))):
        return None
    for i in range(inputs):
        info = cpp.input_info(expected.model, i)
        value = (<tuple>x)[i] if inputs > 1 else x
        if info.dtype == cpp.Dtype.kFloat32:
            frame.sources[i] = take_floats(expected, value, i, info.features)
        else:
            frame.sources[i] = take_ids(expected, value, i, info.features)
        if frame.sources[i] == NULL:
            return None
    if out is None:
        made = []
        for i in range(outputs):
            info = cpp.output_info(expected.model, i)
            made.append(new_output(expected, &info, frame.rows != NULL))
        out = tuple(made) if outputs > 1 else made[0]
    for i in range(outputs):
        info = cpp.output_info(expected.model, i)
        target = (<tuple>out)[i] if outputs > 1 else out
        if not is_frame(target, expected.ndarray, expected.rank, expected.rows, info.features,
                        WRITE, info.dtype):
            return None
        frame.targets[i] = cpp.PyArray_DATA(<PyArrayObject*>target)
        for j in range(inputs if expected.keeps_inputs else 0):
            if touches(expected, (<tuple>x)[j] if inputs > 1 else x, target):
                return None
    return out


cdef inline uint64_t step_frame(
    cpp.Stream* stream, const Expected* expected, const Frame* frame
) noexcept nogil:
    """Step, and say which outputs were written; of nobody, those that come with every frame."""
    cdef cpp.PortInfo info
    cdef uint64_t mask
    cdef uint32_t i
    if frame.rows == NULL:
        return cpp.step(stream, frame.sources, frame.targets)
    mask = cpp.step_rows(stream, frame.sources, frame.targets, frame.rows, frame.count)
    if frame.count == 0:
        for i in range(cpp.output_count(expected.model)):
            info = cpp.output_info(expected.model, i)
            mask |= <uint64_t>(info.period == 1 and info.skip == 0) << i
    return mask


cdef inline object written_of(object out, uint64_t written):
    """The outputs, None in place of those that this frame does not have."""
    cdef Py_ssize_t i
    if type(out) is not tuple:
        return out if written & 1 else None
    for i in range(len(out)):
        if not written >> i & 1:
            return tuple([array if written >> j & 1 else None for j, array in enumerate(out)])
    return out
