# SPDX-License-Identifier: Apache-2.0
"""The cost of quantization for the trained examples: accuracy and errors of every kind of weights.

    python examples/keyword_spotting/generate.py --cache build/keywords
    python benchmarks/quantized/examples.py --keywords build/keywords

Needs torch (sunspots: grucore alone). The keyword spotter is decided by the demo's own chain
on all held-out clips (some minutes; ``--every 10`` takes a tenth of them), and is left out without
``--keywords``. Calibration data is never what is measured on: other voices, the years before those
held out, other strings of digits.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import grucore
from grucore.fileformat import read
from grucore.summary.describe import describe

EXAMPLES = Path(__file__).parents[2] / "examples"
VARIANTS = (  # kind, bits of activations, whether it is calibrated
    ("float16", 16, False),
    ("int8", 16, False),
    ("int8", 16, True),
    ("int8", 8, False),
    ("int8", 8, True),
    ("int4", 16, False),
    ("int4", 16, True),
    ("int4", 8, False),
    ("int4", 8, True),
)
CALIBRATION_CLIPS = 120
STRINGS = 2000

Row = dict[str, Any]


def variants(
    model: grucore.Model, calibration: Any, max_error: float | None = None
) -> dict[str, grucore.Model]:
    """The model in every kind of weights, by a name such as "int8/16, calibrated"."""
    found = {"float32": model}
    for kind, bits, calibrated in VARIANTS:
        if calibrated and calibration is None:
            continue
        name = kind if kind == "float16" else f"{kind}/{bits}"
        found[f"{name}, calibrated" if calibrated else name] = model.quantize(
            kind, activations=bits, calibration=calibration if calibrated else None
        )
    if max_error is not None:
        mixed = model.quantize("int4", calibration=calibration, max_error=max_error)
        found[f"int4/16, calibrated, max_error={max_error:g}"] = mixed
    return found


def weight_bytes(model: grucore.Model) -> int:
    """Bytes of all tensors as they are stored."""
    return int(describe(read(bytes(model)))["weight_bytes"])


def keywords(cache: Path, every: int) -> list[Row]:
    """Accuracy on the held-out voices of the keyword spotter, and on the clips of the demo."""
    sys.path.insert(0, str(EXAMPLES / "keyword_spotting"))
    from evaluate import conditions, test_clip, through_mu_law
    from mixing import Corpus

    from grucore.demo.clips import load_clips
    from grucore.demo.decisions import Detector
    from grucore.demo.features import log_mel
    from grucore.demo.runner import configuration, load_network

    settings = configuration()
    detector = Detector(settings["labels"], **settings["detector"])

    def frames_of(corpus: Any, item: Any, condition: Any, rng: Any) -> Any:
        return log_mel(through_mu_law(test_clip(corpus, item, *condition, rng)))

    other = Corpus(cache / "validation.npz")
    rng = np.random.default_rng(7)
    chosen = rng.choice(len(other.words), CALIBRATION_CLIPS, replace=False)
    calibration = np.concatenate(
        [
            frames_of(other, other.words[item], conditions()[i % len(conditions())], rng)
            for i, item in enumerate(chosen)
        ]
    )
    models = variants(load_network(), calibration, 1.0)  # type: ignore[arg-type]
    right: dict[str, list[bool]] = {name: [] for name in models}
    decisions: dict[str, list[str]] = {name: [] for name in models}
    shipped = dict.fromkeys(models, 0)
    squares = dict.fromkeys(models, 0.0)
    count = 0

    def decide(frames: Any) -> dict[str, tuple[str, Any]]:
        found = {}
        for name, model in models.items():
            scores = model.run(frames)
            detector.reset()
            for row in scores:
                detector.push(row)
            found[name] = detector.decision(), scores
        return found

    corpus = Corpus(cache / "test.npz")
    for index, condition in enumerate(conditions()):
        rng = np.random.default_rng([settings["training"][0]["seed"], index])
        for item in corpus.words[index % every :: every]:
            found = decide(frames_of(corpus, item, condition, rng))
            count += found["float32"][1].size
            for name, (word, scores) in found.items():
                decisions[name].append(word)
                right[name].append(word == item.label)
                squares[name] += float(np.square(scores - found["float32"][1]).sum())
        share = np.mean(right["float32"][-len(corpus.words[index % every :: every]) :])
        print(f"{condition}: float32 {share:.4f}", file=sys.stderr)
    for clip in load_clips():
        for name, (word, _) in decide(log_mel(clip.samples)).items():
            shipped[name] += word == clip.label
    return [
        {
            "weights": name,
            "bytes": weight_bytes(model),
            "accuracy": float(np.mean(right[name])),
            "points": 100 * float(np.mean(right[name]) - np.mean(right["float32"])),
            "other decisions": sum(
                a != b for a, b in zip(decisions[name], decisions["float32"], strict=True)
            ),
            "clips": len(decisions[name]),
            "RMS of scores": (squares[name] / count) ** 0.5,
            "shipped clips": shipped[name],
        }
        for name, model in models.items()
    ]


def sunspots() -> list[Row]:
    """Errors of the forecast over the held-out years."""
    sys.path.insert(0, str(EXAMPLES / "sunspots"))
    from forecast import FOLDER, HELD_OUT, errors, scale, stream

    with np.load(FOLDER / "expected.npz") as expected:
        years, counts = expected["years"], expected["counts"]
    calibration = scale(counts[years < HELD_OUT])[:, np.newaxis]
    models = variants(grucore.convert(FOLDER / "sunspots.keras"), calibration, 0.01)
    said = {name: stream(model, counts) for name, model in models.items()}
    rows = []
    for name, model in models.items():
        mae, rmse = errors(years, counts, said[name])
        largest = float(np.abs(said[name] - said["float32"]).max())
        size = {"weights": name, "bytes": weight_bytes(model)}
        rows.append({**size, "MAE": mae, "RMSE": rmse, "largest difference": largest})
    return rows


def encoder_decoder() -> list[Row]:
    """Strings of digits that come back reversed, trained anew as the example says."""
    sys.path.insert(0, str(EXAMPLES / "encoder_decoder"))
    import torch
    from reverse import reverse
    from train import LONGEST, convert, train

    torch.set_num_threads(1)
    encoder, decoder = convert(*train(1500))
    rng = np.random.default_rng(11)
    strings = ["".join(map(str, rng.integers(0, 10, 1 + i % LONGEST))) for i in range(STRINGS)]
    # The decoder's state comes from the encoder; calibration starts from zeros, so it has none.
    digits = np.random.default_rng(12).integers(0, 10, (500, LONGEST))
    encoders, decoders = variants(encoder, digits), variants(decoder, None)
    rows = []
    for name, first in encoders.items():
        second = decoders[name.removesuffix(", calibrated")]
        right = sum(reverse(first, second, text) == text[::-1] for text in strings)
        size = weight_bytes(first) + weight_bytes(second)
        rows.append({"weights": name, "bytes": size, "reversed": right, "of": len(strings)})
    return rows


def show(title: str, rows: list[Row]) -> None:
    """A table of Markdown."""
    columns = list(rows[0])
    print(f"\n{title}\n\n| {' | '.join(columns)} |\n|---{'|---:' * (len(columns) - 1)}|")
    for row in rows:
        cells = (f"{cell:.4g}" if isinstance(cell, float) else str(cell) for cell in row.values())
        print(f"| {' | '.join(cells)} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--keywords", type=Path, metavar="CACHE", help="what generate.py wrote")
    parser.add_argument("--only", help="one of sunspots, encoder_decoder, keyword_spotting")
    parser.add_argument("--every", type=int, default=1, metavar="N", help="one in N test clips")
    parser.add_argument("--out", type=Path, help="the figures as JSON")
    arguments = parser.parse_args()
    measured: dict[str, Callable[[], list[Row]]] = {
        "sunspots": sunspots,
        "encoder_decoder": encoder_decoder,
    }
    if arguments.keywords is not None:
        measured["keyword_spotting"] = lambda: keywords(arguments.keywords, arguments.every)
    found = {}
    for title, measure in measured.items():
        if arguments.only not in (None, title):
            continue
        found[title] = measure()
        show(title, found[title])
    if arguments.out is not None:
        arguments.out.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
