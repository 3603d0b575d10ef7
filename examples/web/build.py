# SPDX-License-Identifier: Apache-2.0
"""Makes the folder that a web server serves: the page, spotter.wasm, a clip and its settings.

    pip install grucore ziglang
    python examples/web/build.py

The model is that of ``grucore demo``, from samples to scores: int8, exported as C, compiled by
zig's clang.
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

from grucore.demo import decisions, features
from grucore.demo.clips import DATA, load_clips, microphone
from grucore.demo.runner import load_model

HERE = Path(__file__).parent
PAGE = ("index.html", "style.css", "main.js", "worklet.js")
MOST_BYTES = 150_000  # of spotter.wasm, compressed
BACKGROUND = ["silence", "unknown"]


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
    """The words and frames that the same model hears outside of the browser."""
    hop = model.inputs[0].features
    hops = samples[: len(samples) // hop * hop].reshape(-1, hop)
    found = (detector.push(scores) for scores in model.run(hops))
    return [{"word": one.word, "frame": one.frame} for one in found if one]


def build(target: Path, words: int) -> None:
    """Fills `target`."""
    work = target / "work"
    work.mkdir(parents=True, exist_ok=True)
    known = json.loads((DATA / "keywords.json").read_text("utf-8"))
    model = load_model().quantize("int8")
    model.save(work / "kws.gru")
    command = [sys.executable, "-m", "grucore", "export", str(work / "kws.gru"), "-o", str(work)]
    subprocess.run([*command, "--strip", "--cpu", "wasm"], check=True)
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
