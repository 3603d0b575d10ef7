# SPDX-License-Identifier: Apache-2.0
"""Replays the test vector of a file."""

from __future__ import annotations

from typing import Any

import numpy as np

from grucore._core import GrucoreError
from grucore.runtime.arrays import as_tuple
from grucore.runtime.loaded import Loaded
from grucore.runtime.ports import Port, SelftestResult
from grucore.runtime.run import run
from grucore.runtime.stream import make_stream


def replay(model: Loaded, bound: float) -> SelftestResult:
    """Replay the test vector of the file, as `Model.selftest` describes it."""
    frames, input_bytes, output_bytes = model._test_vector()
    if not frames:
        raise ValueError("the file has no test vector")
    inputs = _arrays(input_bytes, model.inputs)
    expected = _arrays(output_bytes, model.outputs)
    found = {"run": run(model, inputs)}
    if model._unstreamable() is None:
        found["step"] = _steps(model, inputs)
    exact = True
    largest = 0.0
    for call, outputs in found.items():
        for port, have, want in zip(model.outputs, outputs, expected, strict=True):
            have = have.reshape(-1, port.features)
            same = have.tobytes() == want.tobytes()
            error = float(np.max(np.abs(have.astype(np.float64) - want)))
            if not (error <= bound if model.numerics == "muladd" else same):
                raise GrucoreError(
                    f"self-test: output {port.name!r} of {call} differs by {error:.3g} from that "
                    f"in the file (isa {model.isa}, numerics {model.numerics})"
                )
            exact = exact and same
            largest = max(largest, error)
    return SelftestResult(frames, exact, largest, model.isa)


def _arrays(data: list[bytes], ports: tuple[Port, ...]) -> tuple[Any, ...]:
    dtypes = {"float32": "<f4", "int32": "<i4"}
    return tuple(
        np.frombuffer(octets, dtypes[port.dtype]).reshape(-1, port.features)
        for octets, port in zip(data, ports, strict=True)
    )


def _steps(model: Loaded, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
    """The outputs of all frames, or of the last one where an output is per sequence."""
    stream = make_stream(model, None, "propagate")
    steps = [
        as_tuple(stream.step(frame if len(frame) > 1 else frame[0]))
        for frame in zip(*inputs, strict=True)
    ]
    columns = [[row for row in column if row is not None] for column in zip(*steps, strict=True)]
    return tuple(
        column[-1] if port.rate == "sequence" else np.stack(column)
        for column, port in zip(columns, model.outputs, strict=True)
    )
