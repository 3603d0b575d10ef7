# SPDX-License-Identifier: Apache-2.0
"""One engine for all frontends: which axis is batch, time or features, and where features stand."""
