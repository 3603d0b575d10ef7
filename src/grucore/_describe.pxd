# The facts of a model, and of a refusal, from the engine as Python objects.
# SPDX-License-Identifier: Apache-2.0
from cpython.bytes cimport PyBytes_FromStringAndSize
from libc.stdint cimport uint32_t
from grucore cimport _cpp as cpp


cdef inline str text(cpp.Text value):
    return value.bytes[:value.length].decode("utf-8", "replace")


cdef inline str isa(cpp.Isa value):
    return cpp.isa_name(value).decode()


cdef inline tuple supported_isas():
    """Names, the best one first."""
    cdef uint32_t i
    cdef list names = []
    for i in range(cpp.kIsaCount):
        if cpp.isa_supported(<cpp.Isa>i):
            names.insert(0, isa(<cpp.Isa>i))
    return tuple(names)


cdef inline cpp.Isa find_isa(object name) noexcept:
    """The instruction set of a supported name; the best one for any other."""
    cdef uint32_t i
    for i in range(cpp.kIsaCount):
        if isa(<cpp.Isa>i) == name:
            return <cpp.Isa>i
    return cpp.best_isa()


cdef inline list statuses():
    """Rows (name, Python error, meaning) of every status."""
    cdef int i
    cdef list rows = []
    for i in range(cpp.status_count):
        rows.append((
            cpp.status_name(<cpp.Status>i).decode(), cpp.status_python[i].decode(),
            cpp.status_meaning(<cpp.Status>i).decode(),
        ))
    return rows


cdef inline dict format_numbers():
    """The lists of docs/format.md, as the engine has them: {list: {name: number}}."""
    cdef int i
    cdef dict lists = {"kinds": {}}
    for i in range(cpp.number_count):
        names = lists.setdefault(cpp.numbers[i].list.decode(), {})
        names[cpp.numbers[i].name.decode()] = cpp.numbers[i].number
    for i in range(256):
        name = cpp.kind_name(i).decode()
        if name:
            lists["kinds"][name] = i
    return lists


cdef inline list ports(const cpp.Model* model, bint outputs):
    """Rows (name, features, dtype, rate, period, skip, ids) of the inputs or outputs."""
    cdef cpp.PortInfo info
    cdef uint32_t i
    cdef list rows = []
    for i in range(cpp.output_count(model) if outputs else cpp.input_count(model)):
        info = cpp.output_info(model, i) if outputs else cpp.input_info(model, i)
        dtype = ("float32", "int32")[<int>info.dtype]
        rate = ("frame", "period", "sequence")[<int>info.rate]
        rows.append((
            text(info.name), info.features, dtype, rate, info.period, info.skip, info.ids))
    return rows


cdef inline list states(const cpp.Model* model):
    """Rows (name, shape, is_public) of what a stream carries from frame to frame."""
    cdef cpp.StateInfo info
    cdef uint32_t i
    cdef list rows = []
    for i in range(cpp.state_count(model)):
        info = cpp.state_info(model, i)
        shape = [info.frames, info.channels] if info.frames else [info.size]
        rows.append((text(info.node) + info.suffix.decode(), tuple(shape), info.is_public))
    return rows


cdef inline tuple test_vector(const cpp.Model* model):
    """(frames, bytes of each input, bytes of each output); no frames: the file has none."""
    cdef cpp.TestVector vector
    cdef cpp.PortInfo info
    cdef uint32_t i
    cdef Py_ssize_t frames = cpp.test_input(model, 0).frames
    cdef list inputs = []
    cdef list outputs = []
    if frames:
        for i in range(cpp.input_count(model)):
            vector = cpp.test_input(model, i)
            info = cpp.input_info(model, i)
            inputs.append(
                PyBytes_FromStringAndSize(<char*>vector.data, 4 * frames * info.features))
        for i in range(cpp.output_count(model)):
            vector = cpp.test_output(model, i)
            info = cpp.output_info(model, i)
            outputs.append(PyBytes_FromStringAndSize(
                <char*>vector.data, 4 * <Py_ssize_t>vector.frames * info.features))
    return frames, inputs, outputs


cdef inline str refusal(
    cpp.Status status, const cpp.LoadReport* report, object source
):
    """The sentence that says why a file was refused, and where: `source` is its path."""
    cdef str name = cpp.status_name(status).decode()
    cdef str message = f"{source}: byte {report.offset:#x}: {cpp.status_meaning(status).decode()}"
    if name in ("kTruncated", "kCountOutOfBounds", "kBadIndex", "kNewerVersion"):
        bound = "at most" if report.found > report.expected else "at least"
        message += f": found {report.found}, expected {bound} {report.expected}"
    elif name == "kNonfiniteWeight":
        message += f": found {report.found:#x}"
    elif name in ("kBadName", "kBadOrder", "kBadValue", "kUnknownDtype", "kUnknownKind",
                  "kUnknownLayout", "kUnknownRole", "kValueNotWritten"):
        message += f": found {report.found}"
    elif report.found != report.expected:
        message += f": found {report.found}, expected {report.expected}"
    details = [name]
    if report.node != cpp.kNone:
        # A name that is none in the file, a damaged one, leaves the number.
        named = repr(text(report.node_name)) if report.node_name.length else report.node
        details.append(f"node {named}")
    if report.role != cpp.kNone:
        details.append(f"tensor {cpp.role_name(report.role).decode() or report.role}")
    return f"{message} ({', '.join(details)})"
