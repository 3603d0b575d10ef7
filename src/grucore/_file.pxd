# Brings a file into memory: read, copied from bytes, or mapped.
# SPDX-License-Identifier: Apache-2.0
from cpython.buffer cimport (
    PyBUF_SIMPLE, PyBUF_WRITE, PyBuffer_Release, PyObject_CheckBuffer, PyObject_GetBuffer,
)
from cpython.memoryview cimport PyMemoryView_FromMemory
from libc.string cimport memcpy
from grucore cimport _cpp as cpp
from grucore._memory cimport Block, allocate, release


cdef inline int copy_bytes(Block* block, object source) except -1:
    """Fill an empty block with the bytes of `source`."""
    cdef Py_buffer view
    if not PyObject_CheckBuffer(source):
        raise TypeError(f"a model is loaded from a path or from bytes, not {type(source).__name__}")
    try:
        PyObject_GetBuffer(source, &view, PyBUF_SIMPLE)
    except BufferError:
        raise ValueError(
            f"the bytes of this {type(source).__name__} do not lie in one piece: pass bytes(...) of it"
        ) from None
    try:
        allocate(block, view.len)
        memcpy(block.data, view.buf, view.len)
    finally:
        PyBuffer_Release(&view)
    return 0


cdef inline int read_bytes(Block* block, object file, size_t size) except -1:
    """Fill an empty block with the next `size` bytes of an unbuffered file, fewer if it ends."""
    cdef size_t done = 0
    cdef Py_ssize_t got = 1
    allocate(block, size)
    while done < size and got > 0:
        got = file.readinto(
            PyMemoryView_FromMemory(<char*>block.data + done, size - done, PyBUF_WRITE))
        done += got
    block.bytes = done
    return 0


cdef inline cpp.Status open_file(
    Block* block, Py_buffer* mapped, object path, bint mmap, cpp.LoadReport* report
) except *:
    """Fill `block`, or `mapped`, with the file; a huge one that is no model is refused unread."""
    import os
    import stat

    cdef Block header
    cdef cpp.MemoryPlan plan
    cdef cpp.Status status
    cdef size_t size
    mode = os.stat(path).st_mode
    if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):  # opening a FIFO would wait for ever
        raise OSError(f"{os.fsdecode(path)}: not a regular file; read it and load the bytes")
    file = open(path, "rb", buffering=0)
    # Not `with`: Cython's leaves a NULL where memory ends while an exception is on its way.
    try:
        size = os.fstat(file.fileno()).st_size
        read_bytes(&header, file, min(size, 64))
        size = size if header.bytes == 64 else header.bytes
        status = cpp.plan_model(header.data, size, &plan, report)  # reads the header only
        release(&header)
        if status != cpp.Status.kOk:
            return status
        if mmap:
            import mmap as module
            buffer = module.mmap(file.fileno(), 0, access=module.ACCESS_READ)
            PyObject_GetBuffer(buffer, mapped, PyBUF_SIMPLE)
        else:
            file.seek(0)
            read_bytes(block, file, size)
    finally:
        file.close()
    return status
