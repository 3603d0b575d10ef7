# SPDX-License-Identifier: Apache-2.0
"""A front end: layers from a hop of samples to a frame of features, and what is known of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from grucore.fileformat import write
from grucore.graph.check import check
from grucore.graph.graph import Graph
from grucore.graph.layers import Filterbank
from grucore.graph.node import Node, Value
from grucore.graph.tensors import Float
from grucore.model import Model, load

__all__ = ["Chain", "FrontEnd", "Timing"]


class Chain:
    """Layers one after the other, named ``front.<role>``."""

    def __init__(self, hop_length: int) -> None:
        self._values = [Value("samples", hop_length)]
        self._nodes: list[Node] = []

    @property
    def features(self) -> int:
        """Numbers in a frame of the last value."""
        return self._values[-1].features

    @property
    def last(self) -> str:
        """The name of the last value."""
        return self._values[-1].name

    def add(self, cls: type[Node], role: str, *sources: str, **settings: Any) -> str:
        """Append a layer that reads these values, or the last one; the name of its own."""
        names = sources or (self.last,)
        known = {value.name: value for value in self._values}
        name = f"front.{role}"
        node = cls(name=name, inputs=names, output=f"{name}.out", **settings)
        self._nodes.append(node)
        self._values.append(node.written(*(known[source] for source in names)))
        return self.last

    def add_filters(self, role: str, matrix: Float, *sources: str) -> str:
        """Append a product with a matrix whose rows are bands."""
        bank = Filterbank.of_matrix(matrix, name="", inputs=(), output="")
        return self.add(Filterbank, role, *sources, weight=bank.weight, index=bank.index)

    def graph(self, settings: Mapping[str, Any]) -> Graph:
        """The checked graph, its settings in the metadata."""
        graph = Graph(
            values=tuple(self._values),
            inputs=("samples",),
            outputs=(self._values[-1].name,),
            nodes=tuple(self._nodes),
            metadata={"producer": "grucore", "front_end": dict(settings)},
        )
        check(graph)
        return graph


@dataclass(frozen=True)
class Timing:
    """Where the frames of a recording lie, in samples.

    Frame j is made of samples ``j * hop + first`` to ``j * hop + end``; before the recording and
    after it there are zeros. ``length``: what a recording has to have for its first frame, and
    with each further hop one more.
    """

    hop: int
    first: int
    end: int
    length: int

    @property
    def lost(self) -> int:
        """Hops of the stream that come before that of the first frame."""
        return max(1, -(-self.end // self.hop)) - 1

    @property
    def delay(self) -> int:
        """Samples after a frame's last one that come with the same hop."""
        return (self.lost + 1) * self.hop - self.end

    def frames(self, samples: int) -> int:
        """Frames of a recording of so many samples."""
        return max(0, (samples - self.length) // self.hop + 1)


@dataclass(frozen=True, eq=False)
class FrontEnd:
    """Layers that make features of samples: what `log_mel` and its like return.

    Attributes
    ----------
    graph : the layers, which read ``samples`` (hop_length per frame)
    timing : where the frames of a recording lie
    settings : what was asked for, as it stands in the metadata of a model
    """

    graph: Graph
    timing: Timing
    settings: Mapping[str, Any]

    @property
    def hop_length(self) -> int:
        """Samples of a frame of the model."""
        return self.timing.hop

    @property
    def sample_rate(self) -> int:
        """Samples per second."""
        return int(self.settings["sample_rate"])

    @property
    def features(self) -> int:
        """Numbers of a frame."""
        return self.graph.value(self.graph.outputs[0]).features

    @cached_property
    def model(self) -> Model:
        """The front end alone, ready to run or to stream."""
        return load(write(self.graph))

    def run(self, samples: npt.ArrayLike) -> npt.NDArray[np.float32]:
        """The features of a whole recording, (samples,) -> (frames, features).

        The frames are those of the recording, at whatever hop of a stream they would come: zeros
        follow its last sample where a window needs them. Raises ValueError for other shapes.
        """
        array = np.asarray(samples, np.float32)
        if array.ndim != 1:
            raise ValueError(f"samples have shape {array.shape}, expected one channel, (N,)")
        frames = self.timing.frames(len(array))
        hops = max(frames + self.timing.lost, 1)
        whole = np.zeros(hops * self.hop_length, np.float32)
        used = min(len(array), len(whole))
        whole[:used] = array[:used]
        result: npt.NDArray[np.float32] = self.model.run(whole.reshape(hops, -1))
        return result[:frames]

    def __repr__(self) -> str:
        kind = self.settings.get("kind", "front end")
        rate = f"{self.sample_rate} Hz, {self.hop_length} samples"
        return f"<grucore.audio.FrontEnd {kind}: {rate} -> {self.features} features>"
