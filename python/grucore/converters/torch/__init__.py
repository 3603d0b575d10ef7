# SPDX-License-Identifier: Apache-2.0
"""PyTorch: from five kinds of sources to a graph."""
