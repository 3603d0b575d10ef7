# SPDX-License-Identifier: Apache-2.0
"""Makes the folder that a web server serves: the page, spotter.wasm, a clip and its settings.

    pip install grucore ziglang
    python examples/web/build.py

The network is that of ``grucore demo``: converted, int8, exported as C, compiled by zig's clang.
"""

from __future__ import annotations

import argparse
import gzip
import json
import shutil
import subprocess
import sys
import wave
from pathlib import Path
from typing import Any

import numpy as np

import grucore
from grucore.demo import decisions, features
from grucore.demo.clips import DATA, load_clips, microphone

HERE = Path(__file__).parent
PAGE = ("index.html", "style.css", "main.js", "worklet.js")
MOST_BYTES = 150_000  # of spotter.wasm, compressed
POINTS = features.FFT_SAMPLES // 2
BACKGROUND = ["silence", "unknown"]


def table(kind: str, name: str, values: Any) -> str:
    """An array in C."""
    numbers = np.asarray(values).ravel().tolist()
    text = [f"{value!r}f" if kind == "float" else str(value) for value in numbers]
    return f"static const {kind} {name}[{len(text)}] = {{{', '.join(text)}}};\n"


def turns(count: int, whole: int) -> Any:
    """Cosine and sine of -2 pi k / whole for k below count, interleaved; float32."""
    angle = -2.0 * np.pi * np.arange(count) / whole
    return np.stack([np.cos(angle), np.sin(angle)], axis=1).astype(np.float32)


def feature_tables() -> str:
    """The tables of grucore.demo.features, for spotter.c."""
    filters = features.mel_filters()
    first = [int(np.flatnonzero(row)[0]) for row in filters]
    count = [int(np.flatnonzero(row)[-1]) - at + 1 for row, at in zip(filters, first, strict=True)]
    weights = np.concatenate([r[a : a + n] for r, a, n in zip(filters, first, count, strict=True)])
    phase = 2.0 * np.pi * np.arange(features.WINDOW_SAMPLES) / features.WINDOW_SAMPLES
    bits = POINTS.bit_length() - 1
    turned = [int(f"{i:0{bits}b}"[::-1], 2) for i in range(features.WINDOW_SAMPLES // 2)]
    numbers = {
        "WINDOW_SAMPLES": features.WINDOW_SAMPLES,
        "HOP_SAMPLES": features.HOP_SAMPLES,
        "FFT_POINTS": POINTS,
        "LOG_FLOOR": f"{features.FLOOR}f",
        "LOG_CENTRE": f"({features.LOG_CENTRE}f)",
        "LOG_SCALE": f"{features.LOG_SCALE}f",
    }
    return "".join(
        [
            "// Tables of log-mel features, from grucore.demo.features.\n",
            *(f"#define {name} {value}\n" for name, value in numbers.items()),
            table("float", "kWindow", (0.5 - 0.5 * np.cos(phase)).astype(np.float32)),
            table("unsigned char", "kReversed", turned),
            table("float", "kTurn", turns(POINTS // 2, POINTS)),
            table("float", "kHalfTurn", turns(POINTS // 2 + 1, 2 * POINTS)),
            table("unsigned char", "kMelFirst", first),
            table("unsigned char", "kMelCount", count),
            table("float", "kMelWeights", weights.astype(np.float32)),
        ]
    )


def compile_module(sources: Path, target: Path) -> None:
    """spotter.c and the network as WebAssembly, for browsers with vectors: all since 2023."""
    command = [
        sys.executable,
        "-m",
        "ziglang",
        "cc",
        "--target=wasm32-freestanding",
        "-std=c99",
        "-O2",
    ]
    command += ["-msimd128", "-mbulk-memory", "-ffp-contract=off", "-fno-exceptions", "-g0", "-s"]
    command += ["-nostdlib", "-Wl,--no-entry", "-Wl,--strip-all", f"-I{sources}", f"-o{target}"]
    subprocess.run([*command, str(HERE / "spotter.c"), str(sources / "kws.c")], check=True)


def save_wav(path: Path, samples: Any) -> None:
    """16 bits, one channel."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(features.SAMPLE_RATE)
        file.writeframes(np.round(np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes())


def read_wav(path: Path) -> Any:
    """The samples as a browser decodes them."""
    with wave.open(str(path), "rb") as file:
        return np.frombuffer(file.readframes(file.getnframes()), "<i2").astype(np.float32) / 32768


def heard_in_python(model: Any, samples: Any, detector: decisions.Detector) -> list[dict[str, Any]]:
    """The words and frames that the same network hears outside of the browser."""
    stream = model.stream()
    found = (detector.push(stream.step(frame)) for frame in features.log_mel(samples))
    return [{"word": one.word, "frame": one.frame} for one in found if one]


def build(target: Path, words: int) -> None:
    """Fills `target`."""
    work = target / "work"
    work.mkdir(parents=True, exist_ok=True)
    known = json.loads((DATA / "keywords.json").read_text("utf-8"))
    model = grucore.convert(DATA / "keywords.pt", architecture=known["architecture"])
    model = model.quantize("int8")
    model.save(work / "kws.gru")
    command = [sys.executable, "-m", "grucore", "export", str(work / "kws.gru"), "-o", str(work)]
    subprocess.run([*command, "--strip", "--cpu", "wasm"], check=True)
    (work / "features.h").write_text(feature_tables(), "utf-8")
    compile_module(work, target / "spotter.wasm")

    recording = microphone(load_clips(), seed=1, length_words=words)
    save_wav(target / "clip.wav", recording.samples)
    samples = read_wav(target / "clip.wav")
    detector = decisions.Detector(known["labels"], background=BACKGROUND, **known["detector"])
    settings = {
        "labels": known["labels"],
        "background": BACKGROUND,
        **known["detector"],
        **{
            name: known["features"][name]
            for name in ("sample_rate", "window_samples", "hop_samples")
        },
        "clip_seconds": len(samples) / features.SAMPLE_RATE,
    }
    (target / "settings.json").write_text(json.dumps(settings, indent=1) + "\n", "utf-8")
    expected = {
        "spoken": [spoken.label for spoken in recording.spoken],
        "heard": heard_in_python(model, samples, detector),
    }
    (work / "expected.json").write_text(json.dumps(expected, indent=1) + "\n", "utf-8")
    for name in PAGE:
        shutil.copy(HERE / name, target / name)
    module = (target / "spotter.wasm").read_bytes()
    compressed = len(gzip.compress(module, 9))
    print(f"spotter.wasm: {len(module):,} bytes, {compressed:,} compressed")
    if compressed > MOST_BYTES:
        raise SystemExit(
            f"spotter.wasm takes {compressed} bytes compressed, more than {MOST_BYTES}"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-o", "--output", type=Path, default=HERE / "build")
    parser.add_argument("--words", type=int, default=10, help="of the recorded clip")
    arguments = parser.parse_args()
    build(arguments.output, arguments.words)
    print(f"python -m http.server --directory {arguments.output}    # then open localhost:8000")


if __name__ == "__main__":
    main()
