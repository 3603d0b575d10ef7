# SPDX-License-Identifier: Apache-2.0
"""The bytes of an ONNX file, its tensors, and the operators in it."""
