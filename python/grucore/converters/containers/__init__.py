# SPDX-License-Identifier: Apache-2.0
"""Readers of containers that any framework may use: zip, HDF5, pickle, safetensors."""
