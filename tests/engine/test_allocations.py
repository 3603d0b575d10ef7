# SPDX-License-Identifier: Apache-2.0
"""`step` with `out` allocates nothing: every malloc of the process is counted."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

COUNTER = r"""
#include <stddef.h>
extern void *__libc_malloc(size_t), *__libc_calloc(size_t, size_t), *__libc_realloc(void *, size_t);
extern void *__libc_memalign(size_t, size_t);
static unsigned long calls;
unsigned long allocations(void) { return __atomic_load_n(&calls, __ATOMIC_RELAXED); }
static void count(void) { __atomic_add_fetch(&calls, 1, __ATOMIC_RELAXED); }
void *malloc(size_t size) { count(); return __libc_malloc(size); }
void *calloc(size_t n, size_t size) { count(); return __libc_calloc(n, size); }
void *realloc(void *p, size_t size) { count(); return __libc_realloc(p, size); }
void *aligned_alloc(size_t a, size_t size) { count(); return __libc_memalign(a, size); }
int posix_memalign(void **p, size_t a, size_t size) {
  count();
  *p = __libc_memalign(a, size);
  return *p ? 0 : 12;
}
"""

SCRIPT = """
import ctypes, itertools, sys
import numpy as np
import grucore
from grucore.fileformat import write
from grucore.graph.layers import Concat, Embedding
from grucore.graph.node import Value
from grucore.graph.tensors import Dtype
from models.chain import Chain, add_gru
from models.small_models import frames_graph

model = grucore.load(write(frames_graph(40, 64, 12)))
alone, batch = model.stream(), model.stream(4)
x, out = np.ones(40, np.float32), np.empty(12, np.float32)
rows, outs = np.ones((4, 40), np.float32), np.empty((4, 12), np.float32)
marks, chosen, mixed = np.array([1, 0, 1, 1], bool), np.array([0, 2]), np.array([3, -4], np.int32)
wide = np.ones(40)

rng = np.random.default_rng(1)
chain = Chain(Value("ids", 1, Dtype.INT32), Value("x", 2))
table = rng.normal(size=(3, 2)).astype(np.float32)
both = chain.add(Concat, chain.add(Embedding, chain.values["ids"], table=table), chain.values["x"])
hybrid = grucore.load(write(chain.graph(both, add_gru(rng, chain, both)))).stream()
pair = (np.int64(2), np.ones(2, np.float32))
pair_out = tuple(np.empty(port.features, np.float32) for port in hybrid.model.outputs)

allocations = ctypes.CDLL(None).allocations
allocations.restype = ctypes.c_ulong

def count(times, call):
    before = allocations()
    for _ in itertools.repeat(None, times):
        call()
    return allocations() - before

for call in (
    lambda: alone.step(x, out),
    lambda: alone.step(x, out=out),
    lambda: batch.step(rows, outs),
    lambda: alone.reset(),
    lambda: batch.step(rows, outs, active=marks),
    lambda: batch.step(rows, outs, active=chosen),
    lambda: batch.step(rows, outs, active=mixed),
    lambda: alone.step(wide, out),
    lambda: hybrid.step(pair, pair_out),
    lambda: alone.step(x),
):
    count(10, call)
    print(count(3000, call) - count(1000, call))
"""


@pytest.mark.skipif(
    platform.libc_ver()[0] != "glibc" or shutil.which("cc") is None,
    reason="counts through glibc's own malloc, with a C compiler",
)
def test_a_step_into_out_allocates_nothing(tmp_path: Path) -> None:
    source, library = tmp_path / "counter.c", tmp_path / "counter.so"
    source.write_text(COUNTER)
    subprocess.run(["cc", "-O1", "-shared", "-fPIC", source, "-o", library], check=True)
    environment = {
        **os.environ,
        "LD_PRELOAD": str(library),
        "PYTHONMALLOC": "malloc",
        "PYTHONPATH": str(Path(__file__).parents[1]),
    }
    run = subprocess.run(
        [sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True, env=environment
    )
    *into_out, fresh = map(int, run.stdout.split())
    assert into_out == [0] * 9
    assert fresh >= 2000  # the counter counts: a new array for each step
