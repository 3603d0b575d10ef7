# SPDX-License-Identifier: Apache-2.0
"""The tensors and modules of a file, read without torch; those of a live module."""
