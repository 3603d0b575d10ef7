# SPDX-License-Identifier: Apache-2.0
"""A user's script with every public call, for type checkers; test_types.py adds wrong lines, and
says which name is missing. typed_sound.py has those of `grucore.audio`."""

from typing import Any, Literal, assert_type

import numpy as np
import numpy.typing as npt

import grucore
from grucore import Model, Port, SelftestResult, Stream, StreamPool

Floats = npt.NDArray[np.float32]

# Files and conversions.
model: Model = grucore.load("kws.gru", isa="avx2", mmap=True)
again: Model = grucore.load(bytes(model))
same: Model = Model(bytes(model), isa=model.isa, mmap=False)
x = np.zeros((3, 40), np.float32)
other: Model = grucore.convert(
    "kws.pt", architecture="gru > linear", config="kws.json", verify=False, check=(x, x)
)
other = grucore.convert("kws.safetensors", ignore=["aux.*"], pytorch_lbr_fix=True)
other = grucore.from_torch({"weight": x}, architecture="linear", ignore="aux.*")
other = grucore.from_torch(object(), example_inputs=(x,))
other = grucore.from_keras(object())
other = grucore.from_onnx("kws.onnx", pytorch_lbr_fix=False, verify=True)
model.save("kws2.gru")
include: str = grucore.get_include() + grucore.get_cmake_dir() + grucore.__version__
isas: tuple[str, ...] = grucore.supported_isas()

# A model looked at.
ports: tuple[Port, ...] = model.inputs + model.outputs
dtype: Literal["float32", "int32"] = ports[0].dtype
numerics: Literal["fused", "muladd", "exact"] = model.numerics
shapes: dict[str, tuple[int, ...]] = model.states
names: list[str] = [layer.name for layer in model.layers]
text: str = model.summary() if model.streamable else model.streamable.reason
count: int = model.parameters + model.nbytes
result: SelftestResult = model.selftest()
told: str = f"{result.frames} frames on {result.isa}" if result.exact else ""
worst: float = result.max_error if model.proof is None else model.proof.largest_difference
metadata: dict[str, Any] = model.metadata

# Sequences: a result is an array to a checker, and may besides be unpacked or compared with None.
y = model.run(x, threads=2, nonfinite="hold")
rows: tuple[int, ...] = y.shape
floats: Floats = model.run([[0.0] * 40])
first, second = model.run({"left": x, "right": x}, lengths=[3])
y, state = model.run(x, return_state=True)
assert_type(state, dict[str, Floats])
h: Floats = state["gru.l0.h"]
assert_type(model.run(x, out=floats, state=state, time_first=True), Floats)
assert_type(model.run((x, x), out=(floats, h)), tuple[Floats, Floats])
assert_type(model.run(x, out=floats, return_state=True), tuple[Floats, dict[str, Floats]])
heard_all: Floats = model.run(x, memory={"attend": x}, memory_lengths=[3])


def either(return_state: bool) -> object:
    """A caller's own flag."""
    return model.run(x, return_state=return_state)


# Streams.
stream: Stream = model.stream(4, nonfinite="error")
nonfinite: Literal["propagate", "hold", "error"] = stream.nonfinite
scores: Floats = stream.step(x)
maximum: int = int(stream.step(x, active=[True, False, True, True]).argmax())
stream.step(x, scores, active=[0, 2])
if stream.step(x, out=scores) is None:
    print("a model with a stride has no output for this frame")
block: Floats = stream.run(x[None])
rows_of: int | None = stream.batch
stream.set_memory(x[None], lengths=[3])
stream.reset([1])
stream.reset()
stream.state = stream.copy().state
assert_type(stream.state, dict[str, Floats])
rest: Floats = stream.model.run(x)

# A pool.
pool = StreamPool(model, 1000, queue=4, nonfinite="hold")
caller: int = pool.open()
pool.push(caller, x[0])
pool.push_many([caller], x[:1])
tick = pool.tick()
answer: Floats = tick[caller]
ids: npt.NDArray[np.int64] = tick.ids
open_ones: list[int] = [each for each in pool if pool.waiting(each) == 0]
free: int = pool.capacity - len(open_ones)
pool.set_memory(caller, x, length=3)
pool.reset(caller)
pool.close(caller)

# Smaller, and from the waveform.
small: Model = model.quantize("int8", activations=8, max_error=0.1)
small = model.quantize("float16", calibration=x)
small = model.quantize("int8", sparse=True)
front = grucore.audio.log_mel(
    sample_rate=16000, n_fft=512, hop_length=160, n_mels=40, window="hamming", log="db"
)
features: Floats = front.run(np.zeros(16000))
heard: Model = model.with_front_end(front)
samples, rate = grucore.audio.read_wav("speech.wav")

try:
    model.run(x, nonfinite="error")
except grucore.NonFiniteError as error:
    broken: tuple[int, ...] = error.rows + error.frames
except grucore.ConversionError as error:
    reason: str = str(error)
except grucore.StreamBusyError as error:
    busy: BaseException = error
except (grucore.FormatError, grucore.UnsupportedError) as error:
    offset: int | None = error.offset
except grucore.GrucoreError as error:
    status: str | None = error.status
