# SPDX-License-Identifier: Apache-2.0
"""Commands that hear: `listen` to a microphone, `denoise` a recording."""
