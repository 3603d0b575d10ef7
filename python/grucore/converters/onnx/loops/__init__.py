# SPDX-License-Identifier: Apache-2.0
"""Loops of ONNX: their bodies as programs of one frame."""
