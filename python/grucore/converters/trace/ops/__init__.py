# SPDX-License-Identifier: Apache-2.0
"""Operations on tensors whose axes are known, which the frontends share."""
