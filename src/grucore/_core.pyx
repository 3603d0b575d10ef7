# The binding: checks what comes in, releases the GIL where it pays, makes exceptions of Status.
# SPDX-License-Identifier: Apache-2.0
from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_CheckBuffer, PyObject_GetBuffer
from cpython.bytes cimport PyBytes_FromStringAndSize
from cpython.object cimport PyTypeObject
from libc.stdint cimport uint32_t, uint64_t

from grucore cimport _cpp as cpp
from grucore cimport _describe as describe
from grucore._arguments cimport (
    READ, WRITE, Sequence, check_state, is_frame, is_single, output_frames, overlap, rows_from,
    take_numbers, take_sequence,
)
from grucore._cpp cimport PyArrayObject, npy_intp
from grucore._file cimport copy_bytes, open_file
from grucore._frames cimport Expected, Frame, expect, forget, step_frame, take_step, written_of
from grucore._memory cimport Block, allocate, release

import os
include "grucore/_errors.pxi"


cdef dict ERRORS = {"Format": FormatError, "Unsupported": UnsupportedError, "Value": ValueError}
cdef tuple NUMERICS = ("exact", "fused", "muladd")
cdef dict NONFINITE = {"propagate": 0, "hold": 1, "error": 1}

# Multiply-adds that take about 20 us: below, releasing the GIL costs more than it gives.
cdef uint64_t LONG_WORK = 200_000

cdef object ndarray = None, integer = None
cdef PyTypeObject* ndarray_type = NULL


cdef int learn_numpy() except -1:
    """Import numpy and remember its types: the first stream does, not `import grucore`."""
    global ndarray, integer, ndarray_type
    if ndarray_type == NULL:
        import numpy
        cpp._import_array()
        integer = numpy.integer
        ndarray = numpy.ndarray
        ndarray_type = <PyTypeObject*>ndarray
    return 0


include "grucore/_engine.pxi"


cdef int check(
    cpp.Status status, const cpp.LoadReport* report=NULL, object source=None
) except -1:
    """Raise the Python error of a status that is not kOk, saying where and what was found there."""
    if status == cpp.Status.kOk:
        return 0
    cdef str name = cpp.status_name(status).decode()
    error = ERRORS[cpp.status_python[<int>status].decode()]
    if report == NULL:
        exception = error(f"{cpp.status_meaning(status).decode()} ({name})")
    else:
        exception = error(describe.refusal(status, report, source))
    if error is not ValueError:
        exception.status = name
        exception.offset = None if report == NULL else report.offset
    raise exception


cdef class Model:
    """The file's bytes and what the engine made of them. Immutable; `grucore.Model` is its face."""

    cdef Block _read        # the file, where it was read or copied
    cdef Py_buffer _mapped  # the file, where it is mapped: keeps the mapping from closing
    cdef Block _arena
    cdef const void* _file
    cdef size_t _file_bytes
    cdef const cpp.Model* _model

    def __cinit__(self, source, *, isa=None, mmap=False):
        cdef cpp.Isa chosen = cpp.best_isa() if isa is None else describe.find_isa(isa)
        cdef cpp.MemoryPlan plan
        cdef cpp.LoadReport report
        cdef cpp.Status status
        cdef str name = "<bytes>"
        if isa is not None and isa not in describe.supported_isas():
            raise UnsupportedError(
                f"isa {isa!r} is not supported by this machine and this build: "
                f"choose from {', '.join(describe.supported_isas())}")
        # Where memory ends, Python may answer that bytes are a PathLike.
        if not PyObject_CheckBuffer(source) and isinstance(source, (str, os.PathLike)):
            name = os.fsdecode(source)
            status = open_file(&self._read, &self._mapped, source, mmap, &report)
            check(status, &report, name)
        elif mmap:
            raise ValueError("mmap=True maps a file: it needs a path, not bytes")
        else:
            copy_bytes(&self._read, source)
        self._file = self._mapped.buf if mmap else self._read.data
        self._file_bytes = self._mapped.len if mmap else self._read.bytes
        check(cpp.plan_model(self._file, self._file_bytes, &plan, &report), &report, name)
        allocate(&self._arena, plan.bytes)
        with nogil:
            status = cpp.load(self._file, self._file_bytes, chosen, self._arena.data, plan.bytes,
                              &self._model, &report)
        check(status, &report, name)

    def __dealloc__(self):
        release(&self._arena)
        release(&self._read)
        PyBuffer_Release(&self._mapped)

    def __bytes__(self):
        return PyBytes_FromStringAndSize(<char*>self._file, self._file_bytes)

    @property
    def isa(self):
        """The instruction set that this model runs on, as in `supported_isas()`."""
        return describe.isa(cpp.model_isa(self._model))

    @property
    def numerics(self):
        """The class within which results have the same bits: "fused", "muladd" or "exact"."""
        return NUMERICS[<int>cpp.model_numerics(self._model)]

    @property
    def nbytes(self):
        """Bytes of the file."""
        return self._file_bytes

    def _model_bytes(self):
        """Bytes of memory that the model takes beside its file."""
        return self._arena.bytes

    def _ports(self, bint outputs):
        return describe.ports(self._model, outputs)

    def _states(self):
        return describe.states(self._model)

    def _metadata(self):
        return describe.text(cpp.model_metadata(self._model))

    def _unstreamable(self):
        cdef uint32_t node = cpp.first_unstreamable_node(self._model)
        return None if node == cpp.kNone else describe.text(cpp.node_name(self._model, node))

    def _rounds_activations(self):
        return cpp.rounds_activations(self._model)

    def _test_vector(self):
        return describe.test_vector(self._model)

    def _stream_bytes(self, uint32_t batch, uint32_t block):
        """Bytes of memory that a stream of these options takes."""
        cdef cpp.StreamOptions options
        cdef cpp.MemoryPlan plan
        options.batch = batch
        options.block = block
        check(cpp.plan_stream(self._model, options, &plan))
        return plan.bytes


cdef class Stream:
    """Memory, checks and the short way of `step`; `grucore.Stream` adds the long way.

    Two hooks are the subclass's: `_step_any` for arguments that are not plain arrays, and
    `_nonfinite` to name what was not finite.
    """

    cdef readonly Model model
    cdef readonly object batch
    cdef readonly str nonfinite
    cdef Block _arena
    cdef cpp.Stream* _stream
    cdef cpp.Flag _busy
    cdef readonly uint32_t _block
    cdef Expected _expected
    cdef npy_intp _rows, _features, _out_features
    cdef uint64_t _work      # multiply-adds of one frame of all rows
    cdef int _rank           # of an input frame: 1, or 2 with a batch
    cdef bint _single        # one float32 input, one float32 output
    cdef bint _raises

    def __cinit__(self, Model model not None, batch, nonfinite, uint32_t block):
        cdef cpp.StreamOptions options
        cdef cpp.MemoryPlan plan
        learn_numpy()
        if nonfinite not in NONFINITE:
            raise ValueError(f"nonfinite={nonfinite!r}: expected one of {', '.join(NONFINITE)}")
        self.model = model
        self.batch = batch
        self.nonfinite = nonfinite
        self._block = block
        self._raises = nonfinite == "error"
        options.batch = 1 if batch is None else batch
        self._rows = options.batch
        self._rank = 1 if batch is None else 2
        self._features = cpp.input_info(model._model, 0).features
        self._out_features = cpp.output_info(model._model, 0).features
        self._single = is_single(model._model, self._rows)
        self._work = cpp.macs_per_frame(model._model) * <uint64_t>self._rows
        self._expected.ndarray = ndarray_type
        self._expected.integer = <PyTypeObject*>integer
        expect(&self._expected, model._model, batch, self._raises)
        options.block = block
        options.nonfinite = <cpp.Nonfinite><int>NONFINITE[nonfinite]
        check(cpp.plan_stream(model._model, options, &plan))
        allocate(&self._arena, plan.bytes)
        check(cpp.init_stream(model._model, options, self._arena.data, plan.bytes, &self._stream))

    def __dealloc__(self):
        forget(&self._expected)
        release(&self._arena)

    def __reduce__(self):
        raise TypeError("a stream does not pickle: pickle its model and its state instead")

    cdef int _enter(self) except -1:
        if not self._busy.take():
            raise StreamBusyError("another thread is using this stream; give each thread a stream")
        return 0

    def step(self, x, out=None, *, active=None):
        """step(x, out=None, *, active=None) -> output: one frame in, one frame out.

        Parameters
        ----------
        x : array_like, (features,), or (n, features) on a stream of batch n
            Any real dtype; float32 in C order is used as it is. Several inputs: a tuple or a dict.
            An input of ids (int32, one feature): an integer, or integers (n,).
        out : ndarray, optional
            Where to write: float32, (features,) or (n, features). May share memory with `x`. With a
            contiguous `x` and `out` of float32 nothing is allocated. Several outputs: a tuple.
        active : array_like, optional
            The rows to step, as bool (n,) or as indices. The others keep their state, and their
            rows of `out` stay untouched (zeros without `out`).

        Returns
        -------
        ndarray or None
            `out`, or a new float32 array; a tuple for several outputs. An output per sequence
            answers as if the sequence ended here. None where this frame has no output (a model with
            a stride, or one that waits for its first frames); where rows differ in that, those
            without one stay as `active` leaves them.

        Raises
        ------
        ValueError
            A wrong shape, `active` without a batch or with a row twice, or an id out of range.
        IndexError
            An index in `active` is out of range.
        TypeError
            A dtype that is not a real number, or an `out` that is not float32.
        NonFiniteError
            A row of `x` is NaN or infinite, on a stream with nonfinite="error".
        StreamBusyError
            Another thread is inside this stream.
        """
        cdef const void* source
        cdef void* target
        cdef uint64_t written
        cdef uint32_t flags = 0
        cdef npy_intp dims[2]
        if (
            active is not None
            or not self._single
            or not is_frame(x, ndarray_type, self._rank, self._rows, self._features, READ)
            or not (out is None or is_frame(
                out, ndarray_type, self._rank, self._rows, self._out_features, WRITE))
            # `out` overlaps `x`: after the call the bad value could not be named.
            or (self._raises and out is not None and overlap(x, 4, out))
        ):
            made = self._advance(x, out, active, &written, &flags)
            if made is None:
                return self._step_any(x, out, active)
            if self._raises and flags & cpp.kFlagNonfiniteInput:
                self._nonfinite(x, active)
            return written_of(made, written)
        if out is None:
            dims[0] = self._rows
            dims[1] = self._out_features
            out = cpp.PyArray_SimpleNew(self._rank, dims + 2 - self._rank, cpp.NPY_FLOAT)
        source = cpp.PyArray_DATA(<PyArrayObject*>x)
        target = cpp.PyArray_DATA(<PyArrayObject*>out)
        self._enter()
        if self._work < LONG_WORK:
            written = cpp.step(self._stream, &source, &target)
        else:
            with nogil:
                written = cpp.step(self._stream, &source, &target)
        if self._raises:
            flags = cpp.take_flags(self._stream)
        self._busy.give()
        if flags & cpp.kFlagNonfiniteInput:
            self._nonfinite(x, None)
        return out if written & 1 else None

    cdef object _advance(self, x, out, active, uint64_t* written, uint32_t* flags):
        """Step, and return the outputs; None, with nothing done, where `take_step` says so."""
        cdef Frame frame
        self._enter()
        try:
            out = take_step(&self._expected, &frame, x, out, active)
            if out is not None:
                if self._work < LONG_WORK:
                    written[0] = step_frame(self._stream, &self._expected, &frame)
                else:
                    with nogil:
                        written[0] = step_frame(self._stream, &self._expected, &frame)
                flags[0] = cpp.take_flags(self._stream)
        finally:
            self._busy.give()
        return out

    def _step_arrays(self, x, out, rows):
        """`step` of the plain arrays that `_step_any` made: the outputs written, and flags."""
        cdef uint64_t written = 0
        cdef uint32_t flags = 0
        if self._advance(x, out, rows, &written, &flags) is None:
            raise TypeError("expected plain arrays of the right dtypes and shapes")
        return written, flags

    def _run_arrays(self, uint32_t frames, tuple inputs, tuple outputs, lengths):
        """A block from arrays (rows, frames, features); `lengths`: uint32 (rows,), or None.

        An output per sequence has one frame, others what `_output_counts` says. Returns the flags.
        """
        cdef Sequence block
        cdef const uint32_t* valid = NULL
        cdef uint32_t flags
        # First: how many values the outputs have depends on the stream's clocks.
        self._enter()
        try:
            take_sequence(&block, self.model._model, self._stream, ndarray_type, self._rows, frames,
                          inputs, outputs)
            if lengths is not None:
                valid = take_numbers(lengths, ndarray_type, self._rows, frames, False)
            if self._work * frames < LONG_WORK:
                cpp.run(self._stream, frames, block.sources, block.targets, valid)
            else:
                with nogil:
                    cpp.run(self._stream, frames, block.sources, block.targets, valid)
            flags = cpp.take_flags(self._stream)
        finally:
            self._busy.give()
        return flags

    def _output_counts(self, uint32_t frames):
        """Values of each output that the next frames give; ValueError where rows differ in it."""
        cdef uint32_t i
        self._enter()
        try:
            return [output_frames(self._stream, i, self._rows, frames)
                    for i in range(cpp.output_count(self.model._model))]
        finally:
            self._busy.give()

    def _reset_rows(self, rows):
        """Back to the initial state: all rows (None), or those of a uint32 array."""
        cdef const uint32_t* chosen = NULL
        if rows is not None:
            chosen = take_numbers(rows, ndarray_type, -1, <uint32_t>(self._rows - 1), True)
        self._enter()
        if rows is None:
            cpp.reset(self._stream)
        else:
            cpp.reset_rows(self._stream, chosen, len(rows))
        self._busy.give()

    def _copy_to(self, Stream other not None):
        """Make another stream of the same model and batch what this one is."""
        if other.model is not self.model or other._rows != self._rows:
            raise ValueError("expected a stream of the same model and batch")
        if other is self:
            return
        self._enter()
        try:
            other._enter()
        except StreamBusyError:
            self._busy.give()
            raise
        cpp.copy_stream(self._stream, other._stream)
        other._busy.give()
        self._busy.give()

    def _move_state(self, arrays, bint into, uint32_t first=0, uint32_t count=0):
        """Copy states from (index, array) pairs, or to them: plain float32 arrays (rows, size) of
        all rows, or of `count` from `first` on."""
        cdef uint32_t index, row, size, rows = rows_from(self._rows, first, count)
        cdef float* values
        for index, array in arrays:
            check_state(self.model._model, index, array, ndarray_type, rows, READ if into else WRITE)
        self._enter()
        for index, array in arrays:
            size = cpp.state_info(self.model._model, index).size
            values = <float*>cpp.PyArray_DATA(<PyArrayObject*>array)
            for row in range(rows):
                if into:
                    cpp.set_state(self._stream, index, first + row, values + row * <size_t>size)
                else:
                    cpp.get_state(self._stream, index, first + row, values + row * <size_t>size)
        self._busy.give()
