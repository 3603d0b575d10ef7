# SPDX-License-Identifier: Apache-2.0
"""The comparison of a conversion with its source, and the test vector in its file."""
