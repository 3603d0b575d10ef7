# SPDX-License-Identifier: Apache-2.0
"""The keyword spotting demo: features, test clips, word detection and the runner."""
