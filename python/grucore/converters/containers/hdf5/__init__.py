# SPDX-License-Identifier: Apache-2.0
"""Reads HDF5 within bounds of time and memory: what Keras writes, and a refusal for the rest."""
