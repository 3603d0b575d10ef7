# SPDX-License-Identifier: Apache-2.0
"""The operators of ONNX, a file for each family."""
