# SPDX-License-Identifier: Apache-2.0
"""ONNX: from a ModelProto to a graph."""
