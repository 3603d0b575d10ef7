# SPDX-License-Identifier: Apache-2.0
"""Numbers on pages that no script of benchmarks/ measures."""

from __future__ import annotations

__all__ = ["SETTINGS", "SPECIFICATIONS"]

# Pages that define: their numbers are constants and bounds, which tests of the code hold.
SPECIFICATIONS = ("docs/format.md", "docs/numerics.md", "docs/operators.md", "docs/refusals.md")

# Definitions, settings, versions, bounds that tests hold, and figures of others with their source.
SETTINGS: dict[str, list[str]] = {
    "README.md": ["Python 3.11 or newer"],
    "SECURITY.md": ["at most 16 times the checkpoint's size"],
    "benchmarks/README.md": [
        "0.05 (bfloat16), 0.1 (int8) or 0.5 (int4)",
        "a chunk of about 5 ms",
        "wall clock is more than 3 %",
        "differences under 10 %",
        "(about 0.01 microseconds each)",
    ],
    "cpp/examples/audio/README.md": ["A block lasts 1,333 microseconds"],
    "docs/architecture.md": ["a multiple of 64 bytes", "needs 8 KB more for the stack"],
    "docs/audio.md": ["(25 ms at 8 kHz, 320 points, 40 bands)"],
    "docs/command-line.md": ["chunks of at least 0.2 ms", "10 ms at a time"],
    "docs/converting.md": ["8 times what this changes"],
    "docs/converting_keras.md": ["2.12", "2.13", "3.15", "3.4", "3.0", "3.3"],
    "docs/converting_torch.md": ["2.8"],
    "docs/cpp.md": ["until 1.0", "aligned to 64 bytes", "is below 3 kB"],
    "docs/embedded.md": [
        "gcc 12.2",
        "arXiv 2502.01700",
        "374 ms, 810 kB of flash and 295 kB of RAM in int8, 277 ms in float32",
    ],
    "docs/performance.md": [
        "differences of 10 % for ties",
        "chunks of 5 ms in turn",
        "torch 2.13, onnxruntime 1.32, OpenVINO 2026.4 (NNCF 3.4), ncnn 20261020, MNN 3.6, "
        "LiteRT 2.3",
    ],
    "docs/quantization.md": [
        "at most 60 % of their blocks (40 % with activations of 16 bits)",
        "RNNoise 0.2 keeps (30, 20 and 50 % of reset, update and candidate gate)",
        "within 0.01 of 0 or 1",
        "above 0.99 in size",
        "an error of 3.15",
    ],
    "examples/amplifier/README.md": ["48,000 times a second"],
    "examples/gru_lstm_rnn/README.md": ["(within 1 % of the GRU's)"],
    "examples/keyword_spotting/README.md": [
        "25 ms Hann window, 10 ms hop",
        "averaged over 140 ms",
        "tracks of 3.5 s",
        "by up to 15 %",
    ],
    "examples/languages/README.md": ["fr 98%, pt 1%, es 1%", "fi 100%, nl 0%, cs 0%"],
    "examples/noise_suppressor/README.md": ["160 in, 160 out, 10 ms later"],
    "examples/stream_server/README.md": ["`--period` (5 ms)"],
    "examples/sunspots/README.md": ["a tenth of the square root"],
}
