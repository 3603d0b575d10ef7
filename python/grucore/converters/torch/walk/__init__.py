# SPDX-License-Identifier: Apache-2.0
"""The walk over a graph of aten calls, and the axes of its tensors."""
