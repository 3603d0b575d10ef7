# SPDX-License-Identifier: Apache-2.0
"""Writes docs/operators.md and docs/refusals.md from the converters' own tables and messages.

Usage: python tools/converter_pages.py [--check]
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from operator_rows import rows

ROOT = Path(__file__).parents[1]
CONVERTERS = ROOT / "python" / "grucore" / "converters"
RAISED = {"ConversionError", "Unfit", "WrongAxes", "Unknown"}
METHODS = {"refuse", "contradict"}

# The ways out, the first that fits: where the message is raised, the words in it, the advice.
FEATURES = (
    "cut the model before its features, and put those of `grucore.audio` there: "
    "`model.with_front_end(front)`"
)
WAYS = (
    ("", r"pip install", "run the line that the message names"),
    ("spectra.py", r"", FEATURES),
    ("", r"both ends as|complex numbers|after it was padded|hops of", FEATURES),
    (
        "loops",
        r"",
        "convert the module that the file was exported from, or export its recurrent layers as "
        "operators GRU, LSTM or RNN, or its cell for one frame with its states in and out",
    ),
    (
        "",
        r"read as|more than one reading|several meanings|can mean",
        "give the axes away: one example "
        "with other sizes of batch and time, or the live module with `example_inputs=`",
    ),
    (
        "",
        r"ignore|leaves out|is there twice|several state dicts",
        "name what plays no part in the model: `--ignore NAME` (`ignore=`), a layer, a tensor or a "
        "pattern as the message lists them",
    ),
    (
        "containers/npz.py",
        r"objects|without a name|structured",
        "write plain arrays by name: `np.savez(path, **{name: tensor.numpy() for name, tensor in "
        "state_dict.items()})`",
    ),
    (
        "torch/sources/packed",
        r"",
        "give an example with other lengths and sizes, or convert the module without "
        "`pack_padded_sequence` and give `lengths=` to `run`",
    ),
    (
        "",
        r"pickle|foreign|\bglobal\b",
        "save a plain state dict or safetensors, or convert the live module",
    ),
    (
        "",
        r"architecture|state dict",
        'name the layers: `architecture="gru > linear"`, or convert the live '
        "module with `grucore.from_torch`",
    ),
    (
        "",
        r"config",
        "give the model's JSON beside the weights: `--config model.json` (`model.to_json()`)",
    ),
    (
        "",
        r"state",
        "return the cell's own new state unchanged, and do the rest outside of the model",
    ),
    (
        "",
        r"lengths|padding|padded",
        "leave packing and padding out of the model, and give `lengths=` to `run`",
    ),
    (
        "containers",
        r"",
        "the file is damaged, or another program's: save it again, or convert the live model",
    ),
    (
        "boundary.py",
        r"",
        "save the file again, or convert the live model; if that does not help, report it with the "
        "file, or with what `GRUCORE_TRACEBACK=1` prints",
    ),
    ("source.py", r"", "give one regular file of a kind that docs/converting.md lists"),
    (
        "torch/read",
        r"",
        "the file is damaged or holds what is no tensor: save `module.state_dict()`",
    ),
    (
        "torch/chain",
        r"",
        "correct the architecture line, or convert the live module with `grucore.from_torch`",
    ),
    (
        "torch",
        r"",
        "convert the part before this operation and do the rest outside, or write it with the "
        "operations of docs/operators.md",
    ),
    (
        "keras/read",
        r"",
        "save the model again as `.keras`, or convert it live with `grucore.from_keras`",
    ),
    (
        "keras",
        r"",
        "change the layer's setting, or cut the model before it: "
        "`keras.Model(inputs, layer.output)`",
    ),
    (
        "onnx/read",
        r"",
        "export the model again (opset 17, `external_data` in the same folder), or convert the "
        "module it came from",
    ),
    (
        "onnx",
        r"",
        "cut the graph before this node (`onnx.utils.extract_model`), or write it with the "
        "operators of docs/operators.md",
    ),
    (
        "plugin",
        r"",
        "write the JSON again with the exporter of RTNeural or GuitarML, or convert the trained "
        "model itself",
    ),
    (
        "trace",
        r"",
        "convert the part before this operation and do the rest outside, or write it with the "
        "operations of docs/operators.md",
    ),
    ("build", r"", "keep sizes within the limits of docs/format.md"),
    (
        "",
        r"",
        "`verify=False` converts without a proof; `check=(x, y)` compares with your own numbers",
    ),
)


def template(node: ast.expr, names: dict[str, str]) -> str | None:
    """The text of a message, an ellipsis in place of what is filled in; None: made elsewhere."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        parts = (part.value if isinstance(part, ast.Constant) else "…" for part in node.values)
        return "".join(map(str, parts))
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        left, right = template(node.left, names), template(node.right, names)
        return (left or "…") + (right or "…") if left or right else None
    if isinstance(node, ast.Name):
        return names.get(node.id)
    if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "with_findings":
        return template(node.args[0], names)
    return None


def messages(path: Path) -> Iterator[str]:
    """Each message that a file can raise."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    names: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            text = template(node.value, names)
            if text:
                names[node.targets[0].id] = text
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        function = node.func
        called = function.id if isinstance(function, ast.Name) else getattr(function, "attr", "")
        is_error = isinstance(function, ast.Name) and called in RAISED
        is_method = isinstance(function, ast.Attribute) and called in METHODS
        if not (is_error or is_method) or not node.args:
            continue
        texts = [template(argument, names) for argument in node.args]
        found = next((text for text in texts if text), None)
        if found and found.strip("… :"):
            yield found


def way(place: str, text: str) -> str:
    return next(
        advice for where, words, advice in WAYS if where in place and re.search(words, text)
    )


def plain(text: str) -> str:
    return " ".join(text.split()).replace("<", "&lt;").replace("*", "\\*").replace("_", "\\_")


def refusals() -> str:
    """The page of all messages, a table for each folder."""
    lines = [
        "# Refusals",
        "",
        "Every message with which a conversion can be refused, by the file that says it, and a way",
        "out of each. `tools/converter_pages.py` writes this page from the code; … is a name, an",
        "attribute or a shape that was found. The message of an operation begins with the",
        "operation and the module or node that it stands in.",
    ]
    for path in sorted(CONVERTERS.rglob("*.py")):
        place = path.relative_to(CONVERTERS).as_posix()
        rows: dict[str, set[str]] = {}
        for text in messages(path):
            rows.setdefault(way(place, text), set()).add(text)
        if rows:
            lines += ["", f"## {place}"]
        for advice, texts in sorted(rows.items()):
            lines += ["", f"Way out: {advice}.", ""]
            lines += [f"- {plain(text)}" for text in sorted(texts)]
    return "\n".join(lines) + "\n"


def dialects() -> dict[str, set[str]]:
    """The names that each frontend knows, as `operator_rows` writes them."""
    sys.path.insert(0, str(ROOT / "python"))
    from grucore.converters.keras.graph import EXPRESSED
    from grucore.converters.onnx.loops.inline import INLINED
    from grucore.converters.onnx.walk import OPERATORS
    from grucore.converters.torch.ops import OPS

    torch = {name.removeprefix("aten.").rpartition(".")[0] or name for name in OPS}
    # Known only to be refused by name.
    torch -= {name for name in torch if name.startswith(("quantized", "_pack", "_pad_packed"))}
    return {
        # The name of add_ as well, but not of __and__.
        "torch": {name if name[:2] == "__" else name.removesuffix("_") for name in torch},
        "keras": {name.removeprefix("ops") for name in EXPRESSED},
        "onnx": {name for name in OPERATORS if not name.startswith("loop.")} | set(INLINED),
    }


def operators() -> str:
    """The page of operations, a row for each, a column for each frontend."""
    lines = [
        "# Operations",
        "",
        "The operations that the converters read, a row for each, with the names that it has in",
        "each frontend: an aten operator of PyTorch, a layer of Keras or a function of `keras.ops`",
        "(with a dot before it), an operator of ONNX. `tools/converter_pages.py` writes the page,",
        "and holds it against the tables of the code. What axes are (batch, time, features) is one",
        "engine's question, `converters/trace`, so that an operation means the same in all three.",
        "An operation here may still be refused: where an attribute or an axis has no counterpart.",
        "[refusals.md](refusals.md) has the messages. A dash: the framework has no such operation",
        "of its own, or none that is read.",
    ]
    for heading, found in rows(dialects()):
        lines += ["", f"## {heading.capitalize()}", ""]
        lines += ["| operation | PyTorch (aten) | Keras | ONNX |", "| --- | --- | --- | --- |"]
        for operation, cells in found:
            texts = (", ".join(f"`{name}`" for name in cell) or "-" for cell in cells)
            lines.append(f"| {operation} | {' | '.join(texts)} |")
    return "\n".join(lines) + "\n"


PAGES = {"docs/refusals.md": refusals, "docs/operators.md": operators}


def main() -> int:
    """Write the pages; with --check say which of them are not what the code makes."""
    stale = []
    for name, make in PAGES.items():
        text, path = make(), ROOT / name
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            stale.append(name)
            if "--check" not in sys.argv[1:]:
                path.write_text(text, encoding="utf-8")
    print(f"{', '.join(stale)} written anew" if stale else "up to date")
    return 1 if stale and "--check" in sys.argv[1:] else 0


if __name__ == "__main__":
    sys.exit(main())
