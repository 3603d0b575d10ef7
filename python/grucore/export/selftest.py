# SPDX-License-Identifier: Apache-2.0
"""The self-test of exported code: the frames that a file keeps, and what they have to give."""

from __future__ import annotations

import numpy as np

from grucore.export.literals import array_text
from grucore.export.ports import Ports, c_type
from grucore.export.unit import lines
from grucore.graph.graph import Graph, TestVector
from grucore.graph.node import Rate

__all__ = ["selftest_text"]

DIFFERENT = """
static uint32_t gc_different(const void *got, const int32_t *expected, uint32_t count) {
  uint32_t i, different = 0;
  for (i = 0; i < count; ++i) {
    int32_t word;
    GC_COPY(&word, (const char *)got + 4 * i, sizeof word);
    different += word != expected[i];
  }
  return different;
}

"""


def selftest_text(graph: Graph, test: TestVector, ports: Ports) -> str:
    """Frames through a stream from its start; the numbers whose bits differ are counted."""
    frames = len(test.inputs[0])
    parts = ["#ifdef GC_SELFTEST\n"]
    setup, arguments, checks, ends = [], ["&state"], [], []
    for name, port, array in zip(graph.inputs, ports.inputs, test.inputs, strict=True):
        value = graph.value(name)
        parts.append(array_text(f"gc_test_{port}", array.astype(value.dtype.numpy)))
        arguments.append(f"gc_test_{port} + {value.features} * t")
    for index, (name, port, array) in enumerate(
        zip(graph.outputs, ports.outputs, test.outputs, strict=True)
    ):
        value = graph.value(name)
        # As words: so that a NaN can be written, and compared.
        parts.append(array_text(f"gc_test_{port}", array.astype(value.dtype.numpy).view(np.int32)))
        setup.append(f"{c_type(value)} got_{port}[{value.features}];")
        arguments.append(f"got_{port}")
        compare = f"gc_different(got_{port}, gc_test_{port}{{}}, {value.features})"
        if value.rate is Rate.SEQUENCE:
            ends.append(f"different += {compare.format('')};")
        else:
            setup.append(f"uint32_t at_{port} = 0;")
            place = f" + {value.features} * at_{port}++"
            checks.append(f"if (given & {1 << index}u) different += {compare.format(place)};")
    given = "const uint32_t given = " if checks else "(void)"
    loop = lines(f"{given}gc_step({', '.join(arguments)});", *checks)
    parts.append(DIFFERENT)
    body = lines(
        "gc_state state;",
        *setup,
        "uint32_t t, different = 0;",
        "gc_reset(&state);",
        f"for (t = 0; t < {frames}; ++t) {{\n{loop}}}",
        *ends,
        "return different;",
    )
    parts.append(f"uint32_t gc_selftest(void) {{\n{body}}}\n#endif\n")
    return "".join(parts)
