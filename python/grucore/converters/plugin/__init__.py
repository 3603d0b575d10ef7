# SPDX-License-Identifier: Apache-2.0
"""Models of audio plug-ins, whose weights stand in a JSON file."""
