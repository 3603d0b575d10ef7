# SPDX-License-Identifier: Apache-2.0
"""A model in words and numbers: its layers, their sizes and work, as rows, text and HTML."""
