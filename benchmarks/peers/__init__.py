# SPDX-License-Identifier: Apache-2.0
"""Who is timed: grucore, and whatever else is installed. One small class for each way to run."""

from __future__ import annotations

from peers.base import BOUNDS, Peer
from peers.litert import LiteRT, LiteRTInt8
from peers.litert_fused import LiteRTFused, LiteRTFusedInt8
from peers.mnn import MNN, MNNInt8
from peers.ncnn import NCNN
from peers.onnxruntime import ORT, ORTBound, ORTInt8, ORTInt8LSTM
from peers.openvino import OpenVINO, OpenVINOInt8
from peers.ours import GRUCORE, Grucore
from peers.torch import TorchCell, TorchCellInt8, TorchGRU, TorchInt8
from peers.yardsticks import YARDSTICKS

__all__ = ["BOUNDS", "GRUCORE", "PEERS", "Grucore", "Peer"]

PEERS: dict[str, type[Peer]] = {
    peer.name: peer
    for peer in (
        TorchCell,
        TorchGRU,
        TorchCellInt8,
        TorchInt8,
        ORT,
        ORTBound,
        ORTInt8,
        ORTInt8LSTM,
        OpenVINO,
        OpenVINOInt8,
        NCNN,
        MNN,
        MNNInt8,
        LiteRT,
        LiteRTInt8,
        LiteRTFused,
        LiteRTFusedInt8,
        *YARDSTICKS,
    )
}
