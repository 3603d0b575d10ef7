# SPDX-License-Identifier: Apache-2.0
"""Arrays in and out of the engine: the loaded file, streams, sequences, states, timing."""
