# Raw memory on 64-byte boundaries, as the engine wants its files and arenas.
# SPDX-License-Identifier: Apache-2.0
from cpython.mem cimport PyMem_RawFree, PyMem_RawMalloc
from libc.stdint cimport uintptr_t
from grucore cimport _cpp as cpp


cdef struct Block:
    void* raw       # what to free
    void* data      # the first 64-byte boundary in it
    size_t bytes


cdef inline int allocate(Block* block, size_t size) except -1:
    """Fill an empty block; no bytes get an address too. MemoryError where there is no memory."""
    cdef size_t slack = cpp.kAlignment
    cdef void* raw = NULL
    if size < <size_t>-1 - slack:
        raw = PyMem_RawMalloc(size + slack)
    if raw == NULL:
        raise MemoryError(f"cannot allocate {size} bytes")
    block.raw = raw
    block.data = <void*>((<uintptr_t>raw + slack - 1) // slack * slack)
    block.bytes = size
    return 0


cdef inline void release(Block* block) noexcept:
    PyMem_RawFree(block.raw)
    block.raw = NULL
    block.data = NULL
    block.bytes = 0
