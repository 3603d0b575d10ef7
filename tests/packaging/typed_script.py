# SPDX-License-Identifier: Apache-2.0
"""A user's script with every public call, for type checkers; test_types.py adds wrong lines."""

import numpy as np
import numpy.typing as npt

import grucore
from grucore import Model, Port, SelftestResult, Stream, StreamPool

model: Model = grucore.load("kws.gru", isa="avx2", mmap=True)
other: Model = grucore.convert("kws.pt", architecture="gru > linear", verify=False)
small: Model = model.quantize("int8", activations=8, max_error=0.1)
ports: tuple[Port, ...] = model.inputs
result: SelftestResult = model.selftest()
isas: tuple[str, ...] = grucore.supported_isas()
shapes: dict[str, tuple[int, ...]] = model.states
names: list[str] = [layer.name for layer in model.layers]
text: str = model.summary() if model.streamable else model.streamable.reason
count: int = model.parameters + model.nbytes

x = np.zeros((3, 40), np.float32)
y = model.run(x, threads=2, nonfinite="hold")
y, state = model.run(x, return_state=True)
h: npt.NDArray[np.float32] = state["gru.l0.h"]

stream: Stream = model.stream(4, nonfinite="error")
stream.step(x, out=y, active=[0, 2])
stream.reset([1])
stream.state = stream.copy().state
pool = StreamPool(model, 1000, queue=4, nonfinite="hold")
caller: int = pool.open()
pool.push(caller, x[0])
scores = pool.tick()[caller]
ids: npt.NDArray[np.int64] = pool.tick().ids
pool.close(caller)
model.save("kws2.gru")
