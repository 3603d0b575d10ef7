# SPDX-License-Identifier: Apache-2.0
"""The .gru file: what is written is read back, and every damaged or hostile file is refused."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import grucore
from grucore import fileformat
from grucore._core import _crc32c
from grucore.graph.graph import Graph, TestVector
from grucore.graph.layers import Cell
from grucore.graph.node import Value
from grucore.graph.tensors import Dtype
from models.layer_models import KIND_NAMES, make
from models.small_models import (
    GRAPHS,
    bidirectional_graph,
    frames_graph,
    gru,
    last_graph,
    parameter_bytes,
)


def same_graph(one: Graph, other: Graph) -> bool:
    """True if all fields are equal, arrays by bits."""
    if (one.values, one.inputs, one.outputs) != (other.values, other.inputs, other.outputs):
        return False
    if dict(one.metadata) != dict(other.metadata) or len(one.nodes) != len(other.nodes):
        return False
    for a, b in zip(one.nodes, other.nodes, strict=True):
        fields = [(x.name, x.inputs, x.output, x.attributes, type(x)) for x in (a, b)]
        if fields[0] != fields[1]:
            return False
        if [t.tobytes() for t in a.tensors().values()] != [
            t.tobytes() for t in b.tensors().values()
        ]:
            return False
    tests = [
        None if g.test is None else [t.tobytes() for t in (*g.test.inputs, *g.test.outputs)]
        for g in (one, other)
    ]
    return tests[0] == tests[1]


@pytest.mark.parametrize("name", sorted(GRAPHS))
def test_round_trip(name: str) -> None:
    graph = GRAPHS[name]()
    file = fileformat.write(graph)
    assert len(file) % 64 == 0
    assert same_graph(fileformat.read(file), graph)
    assert fileformat.write(fileformat.read(file)) == file


@settings(deadline=None, max_examples=60)
@given(
    sizes=st.tuples(st.integers(1, 40), st.integers(1, 40)),
    cell=st.sampled_from(Cell),
    reverse=st.booleans(),
    name=st.text(
        st.characters(codec="utf-8", min_codepoint=0x20, exclude_characters="\x7f"), min_size=1
    ).filter(lambda text: len(text.encode()) < 250),
    metadata=st.dictionaries(st.text(), st.integers() | st.text() | st.none()),
    frames=st.integers(0, 3),
)
def test_any_graph_survives(
    sizes: tuple[int, int],
    cell: Cell,
    reverse: bool,
    name: str,
    metadata: dict[str, object],
    frames: int,
) -> None:
    rng = np.random.default_rng(0)
    node = gru(rng, name, ("x", sizes[0]), sizes[1], cell=cell, reverse=reverse)
    graph = Graph(
        values=(Value("x", sizes[0]), Value(node.output, sizes[1])),
        inputs=("x",),
        outputs=(node.output,),
        nodes=(node,),
        metadata=metadata,
        test=TestVector(
            (np.ones((frames, sizes[0]), np.float32),),
            (np.ones((frames, sizes[1]), np.float32),),
        )
        if frames
        else None,
    )
    file = fileformat.write(graph)
    assert same_graph(fileformat.read(file), graph)
    assert grucore.load(file).nbytes == len(file)


def test_writer_zeroes_denormal_weights_and_says_so() -> None:
    graph = frames_graph(features=2, hidden_size=3, out=1)
    weight = graph.nodes[0].tensors()[1].copy()  # type: ignore[index]
    weight[0, 0], weight[1, 1] = 1e-40, -1e-45
    bias = graph.nodes[0].tensors()[4].copy()  # type: ignore[index]
    bias[3] = 1e-39
    nodes = (replace(graph.nodes[0], weight_ih=weight, bias=bias), *graph.nodes[1:])
    once = fileformat.read(fileformat.write(replace(graph, nodes=nodes)))
    assert once.metadata["denormal_weights_zeroed"] == 3
    assert np.count_nonzero(once.nodes[0].tensors()[1] == 0) == 2  # type: ignore[index]
    assert fileformat.read(fileformat.write(once)).metadata == once.metadata


def test_writer_names_the_tensor_that_is_not_finite() -> None:
    graph = frames_graph()
    bias = graph.nodes[1].tensors()[4].copy()  # type: ignore[index]
    bias[2] = np.inf
    nodes = (graph.nodes[0], replace(graph.nodes[1], bias=bias))
    with pytest.raises(grucore.ConversionError, match=r"linear\.bias has 1 infinite .* \(2,\)"):
        fileformat.write(replace(graph, nodes=nodes))


def _broken_graphs() -> dict[str, tuple[Graph, str]]:
    graph, last = frames_graph(), last_graph()
    first = graph.nodes[0]
    return {
        "shape": (
            replace(graph, values=(Value("x", 6), *graph.values[1:])),
            r"gru\.l0\.weight_ih has shape \(21, 5\), expected \(21, 6\)",
        ),
        "order": (replace(graph, nodes=graph.nodes[::-1]), "which no earlier node writes"),
        "unknown output": (replace(graph, outputs=("z",)), "output 'z' is not among the values"),
        "nobody writes": (
            replace(graph, values=(*graph.values, Value("z", 1))),
            "value 'z' is neither",
        ),
        "dtype of a value": (
            replace(graph, values=(Value("x", 5, Dtype.FLOAT16), *graph.values[1:])),
            "value 'x' has dtype FLOAT16, expected FLOAT32 or INT32",
        ),
        "two values": (replace(graph, values=(*graph.values, Value("x", 1))), "called 'x'"),
        "name": (replace(graph, nodes=(replace(first, name="a\n"), *graph.nodes[1:])), "control"),
        "rate": (
            replace(last, values=(*last.values[:2], Value("last", 7), *last.values[3:])),
            "node 'take': value 'last' has rate FRAME",
        ),
        "metadata": (replace(graph, metadata={"a": float("nan")}), "cannot be written as JSON"),
        "float64": (
            replace(graph, nodes=(replace(first, bias=first.bias.astype(float)), graph.nodes[1])),
            "dtype float64",
        ),
    }


@pytest.mark.parametrize("name", sorted(_broken_graphs()))
def test_broken_graphs_are_not_written(name: str) -> None:
    graph, message = _broken_graphs()[name]
    with pytest.raises(grucore.ConversionError, match=message):
        fileformat.write(graph)


def test_counts_of_a_graph() -> None:
    graph = bidirectional_graph(features=5, hidden_size=7)
    assert graph.multiply_adds_per_frame == 2 * 3 * 7 * (5 + 7)
    assert graph.parameter_count == 2 * (21 * 5 + 21 * 7 + 28)
    assert parameter_bytes(graph) == 4 * graph.parameter_count
    assert not graph.streamable
    assert graph.first_unstreamable is graph.nodes[1]
    # The output layer of this one runs once per sequence, not once per frame.
    assert last_graph().multiply_adds_per_frame == 3 * 7 * (5 + 7)
    assert grucore.load(fileformat.write(graph)) is not None


@pytest.mark.parametrize("size", [0, 1, 3, 7, 8, 9, 63, 64, 1000, 4099, 100_001])
def test_crc32c_against_one_bit_at_a_time(size: int, rng: np.random.Generator) -> None:
    message = rng.bytes(size)
    register = 0xFFFFFFFF
    for octet in message:
        register ^= octet
        for _ in range(8):
            register = (register >> 1) ^ (0x82F63B78 if register & 1 else 0)
    assert _crc32c(message) == register ^ 0xFFFFFFFF
    for cut in (0, size // 3, size):
        assert _crc32c(message[cut:], _crc32c(message[:cut])) == register ^ 0xFFFFFFFF


def test_crc32c_of_the_standard() -> None:
    assert _crc32c(b"123456789") == 0xE3069283


def test_save_replaces_the_file_or_leaves_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "model.gru"
    fileformat.save(path, b"old")
    fileformat.save(path, b"new")
    assert path.read_bytes() == b"new"

    def full_disk(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full_disk)
    with pytest.raises(OSError, match="No space left"):
        fileformat.save(path, b"newer")
    assert path.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.skipif(sys.platform == "win32", reason="links and modes are those of POSIX")
def test_save_follows_links_and_keeps_modes(tmp_path: Path) -> None:
    path, link = tmp_path / "model.gru", tmp_path / "link.gru"
    path.write_bytes(b"old")
    path.chmod(0o640)
    link.symlink_to(path)
    fileformat.save(link, b"new")
    assert link.is_symlink()
    assert path.read_bytes() == b"new"
    assert path.stat().st_mode & 0o777 == 0o640


@settings(deadline=None, max_examples=200)
@given(kind=st.sampled_from(KIND_NAMES), seed=st.integers(0, 2**32 - 1))
def test_any_layer_survives(kind: str, seed: int) -> None:
    graph = make(kind, seed)
    file = fileformat.write(graph)
    assert same_graph(fileformat.read(file), graph)
    model = grucore.load(file)
    assert model.nbytes == len(file)
    assert [port.name for port in model.outputs] == list(graph.outputs)
    first = graph.first_unstreamable
    assert model._unstreamable() == (None if first is None else first.name)
