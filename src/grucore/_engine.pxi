# What the engine offers without a model: instruction sets, the lists of the file format, the checksum.
# SPDX-License-Identifier: Apache-2.0

def supported_isas():
    """supported_isas() -> tuple[str, ...]: the instruction sets that work here, the best first."""
    return describe.supported_isas()


def _status_table():
    return describe.statuses()


def _format_numbers():
    """The lists of docs/format.md, as the engine has them: {list: {name: number}}."""
    return describe.format_numbers()


def _crc32c(data, uint32_t crc=0):
    """The CRC-32C of docs/format.md over some bytes, continued from that of those before them."""
    cdef Py_buffer view
    PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
    with nogil:
        crc = cpp.crc32c(crc, view.buf, view.len)
    PyBuffer_Release(&view)
    return crc
