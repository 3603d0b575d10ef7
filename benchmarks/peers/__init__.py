# SPDX-License-Identifier: Apache-2.0
"""Who is timed: grucore, and whatever else is installed. One small class for each way to run."""

from __future__ import annotations

from peers.base import BOUNDS, Peer
from peers.litert import LiteRT, LiteRTInt8
from peers.mnn import MNN, MNNInt8
from peers.ncnn import NCNN
from peers.onnxruntime import ORT, ORTBound, ORTInt8
from peers.openvino import OpenVINO, OpenVINOInt8
from peers.ours import GRUCORE, Grucore
from peers.torch import TorchCell, TorchGRU, TorchInt8
from peers.yardsticks import YARDSTICKS

__all__ = ["BOUNDS", "GRUCORE", "PEERS", "Grucore", "Peer"]

PEERS: dict[str, type[Peer]] = {
    peer.name: peer
    for peer in (
        TorchCell,
        TorchGRU,
        TorchInt8,
        ORT,
        ORTBound,
        ORTInt8,
        OpenVINO,
        OpenVINOInt8,
        NCNN,
        MNN,
        MNNInt8,
        LiteRT,
        LiteRTInt8,
        *YARDSTICKS,
    )
}
