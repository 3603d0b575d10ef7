# SPDX-License-Identifier: Apache-2.0
"""The operations of the converters, a row for each: as PyTorch, Keras and ONNX call it.

`rows` holds the names against the tables of the code: a name that stands in no row, in two rows, or
in no table is an error.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

__all__ = ["FRONTENDS", "rows"]

FRONTENDS = ("torch", "keras", "onnx")
# Under a heading: the operation, and its names in the order of FRONTENDS; "" where there is none.
# A name of keras.ops has a dot before it, that of a layer has none.
ROWS: dict[str, list[tuple[str, str, str, str]]] = {
    "recurrent layers": [
        ("GRU", "gru", "GRU CuDNNGRU", "GRU"),
        ("LSTM", "lstm", "LSTM CuDNNLSTM", "LSTM"),
        ("RNN", "rnn_tanh rnn_relu", "SimpleRNN", "RNN"),
        ("cell of a GRU", "gru_cell", "GRUCell", "nn.GRUCell"),
        ("cell of an LSTM", "lstm_cell", "LSTMCell", ""),
        ("cell of an RNN", "rnn_tanh_cell rnn_relu_cell", "SimpleRNNCell", ""),
        ("layer of cells", "", "RNN StackedRNNCells", ""),
        ("both directions", "", "Bidirectional", ""),
        ("loop over frames", "scan", "", "Loop Scan"),
        (
            "list of frames",
            "",
            "",
            "SequenceAt SequenceConstruct SequenceEmpty SequenceInsert SequenceLength "
            "ConcatFromSequence SplitToSequence",
        ),
        ("one of two branches", "", "", "If"),
        ("masked frames", "", "Masking .NotEqual .Any .LogicalOr", ""),
    ],
    "products": [
        ("linear layer", "linear addmm", "Dense TimeDistributedDense", "Gemm"),
        ("product", "matmul mm bmm mv dot", ".Matmul .Dot", "MatMul"),
        (
            "attention over a memory",
            "scaled_dot_product_attention",
            "Attention AdditiveAttention MultiHeadAttention Dot",
            "",
        ),
        ("einsum with constants", "einsum", "EinsumDense .Einsum", "Einsum"),
        ("embedding", "embedding one_hot", "Embedding .OneHot", "OneHot"),
        (
            "convolution over time",
            "conv1d conv2d convolution",
            "Conv1D Conv2D Convolution1D DepthwiseConv1D SeparableConv1D SeparableConvolution1D",
            "Conv",
        ),
        ("weight norm", "_weight_norm _weight_norm_interface", "SpectralNormalization", ""),
    ],
    "activations": [
        ("any, by its name", "", "Activation", ""),
        ("relu", "relu", "ReLU .Relu", "Relu"),
        ("relu up to 6", "relu6", ".Relu6", ""),
        ("leaky relu", "leaky_relu", "LeakyReLU .LeakyRelu", "LeakyRelu"),
        ("prelu", "prelu _prelu_kernel", "PReLU", "PRelu"),
        ("elu", "elu celu", "ELU .Elu .Celu", "Elu Celu"),
        ("selu", "selu", ".Selu", "Selu"),
        ("sigmoid", "sigmoid", ".Sigmoid", "Sigmoid"),
        ("log sigmoid", "log_sigmoid", ".LogSigmoid", ""),
        ("hard sigmoid", "hardsigmoid", ".HardSigmoid .SparseSigmoid", "HardSigmoid"),
        ("tanh", "tanh", ".Tanh", "Tanh"),
        ("hard tanh", "hardtanh", ".HardTanh", ""),
        ("silu (swish)", "silu", ".Silu .Swish", "Swish"),
        ("hard swish", "hardswish", ".HardSilu .HardSwish", "HardSwish"),
        ("gelu", "gelu", ".Gelu", "Gelu"),
        ("error function", "erf special_erf", ".Erf", "Erf"),
        ("mish", "mish", ".Mish", "Mish"),
        ("glu", "glu", ".Glu", ""),
        ("softplus", "softplus", ".Softplus", "Softplus"),
        ("softsign", "", ".Softsign", "Softsign"),
        ("shrunk", "softshrink", ".SoftShrink .TanhShrink", "Shrink"),
        ("softmax", "softmax _softmax", "Softmax .Softmax", "Softmax"),
        ("log softmax", "log_softmax _log_softmax", ".LogSoftmax", "LogSoftmax"),
    ],
    "arithmetic": [
        ("sum of two", "add", "Add .Add", "Add Sum"),
        ("difference", "sub rsub lerp", "Subtract .Subtract", "Sub"),
        ("product of two", "mul multiply addcmul", "Multiply .Multiply", "Mul"),
        ("quotient", "div true_divide", ".Divide .TrueDivide", "Div"),
        ("mean of several", "", "Average", ""),
        ("the greater", "maximum", "Maximum .Maximum", "Max"),
        ("the lesser", "minimum", "Minimum .Minimum", "Min"),
        ("within bounds", "clamp clamp_min clamp_max clip threshold", ".Clip", "Clip"),
        ("negative", "neg", ".Negative", "Neg"),
        ("absolute value", "abs", ".Abs .Absolute", "Abs"),
        ("sign", "sign sgn", ".Sign", "Sign"),
        ("exponential", "exp", ".Exp", "Exp"),
        ("logarithm", "log log1p log2 log10", ".Log .Log1p .Log2 .Log10", "Log"),
        ("power", "pow square", ".Power .Square", "Pow"),
        ("root", "sqrt rsqrt", ".Sqrt .Rsqrt", "Sqrt"),
        ("reciprocal", "reciprocal", ".Reciprocal", "Reciprocal"),
        ("scale and shift", "", "Rescaling Normalization", ""),
    ],
    "norms": [
        (
            "batch norm",
            "batch_norm native_batch_norm _batch_norm_no_update "
            "_native_batch_norm_legit_no_training",
            "BatchNormalization",
            "BatchNormalization",
        ),
        ("layer norm", "layer_norm native_layer_norm", "LayerNormalization", "LayerNormalization"),
        ("group norm", "group_norm", "GroupNormalization", "GroupNormalization"),
        ("instance norm", "instance_norm", "", "InstanceNormalization"),
        ("RMS norm", "rms_norm", "RMSNormalization", "RMSNormalization"),
        ("length of a vector", "linalg_vector_norm norm", ".Norm", "ReduceL1 ReduceL2"),
        ("unit length", "", "UnitNormalization .Normalize", ""),
        ("cosine of two vectors", "cosine_similarity", "", ""),
    ],
    "many into one": [
        ("mean, of time or features", "mean", ".Mean", "ReduceMean"),
        ("sum, of time or features", "sum", ".Sum", "ReduceSum"),
        ("sum of squares", "", "", "ReduceSumSquare"),
        ("logarithm of a sum of exponentials", "logsumexp", ".Logsumexp", "ReduceLogSumExp"),
        ("largest, of time or features", "max amax", ".Max .Amax", "ReduceMax"),
        ("least, of time or features", "min amin", ".Min .Amin", "ReduceMin"),
        (
            "mean over time",
            "adaptive_avg_pool1d",
            "GlobalAveragePooling1D GlobalAvgPool1D",
            "GlobalAveragePool",
        ),
        (
            "largest over time",
            "adaptive_max_pool1d",
            "GlobalMaxPooling1D GlobalMaxPool1D",
            "GlobalMaxPool",
        ),
        ("place of the largest feature", "argmax", ".Argmax", "ArgMax"),
        ("variance, deviation", "var std var_mean std_mean", ".Var .Std", ""),
        ("sums up to each place", "cumsum", ".Cumsum", "CumSum"),
        (
            "mean of a window",
            "avg_pool1d avg_pool2d",
            "AveragePooling1D AveragePooling2D",
            "AveragePool",
        ),
        (
            "largest of a window",
            "max_pool1d max_pool1d_with_indices max_pool2d max_pool2d_with_indices",
            "MaxPooling1D MaxPooling2D",
            "MaxPool",
        ),
    ],
    "sound": [
        ("frames of samples", "unfold", "", ""),
        ("spectra of frames", "stft", "STFTSpectrogram .STFT", "STFT"),
        ("spectrum of a frame", "fft_rfft", ".RFFT", "DFT"),
        ("its real and imaginary parts", "real imag view_as_real", "", ""),
    ],
    "pieces": [
        ("side by side", "cat concat concatenate", "Concatenate .Concatenate", "Concat"),
        ("along a new axis", "stack", ".Stack", ""),
        ("in parts", "split split_with_sizes chunk tensor_split unbind", ".Split", "Split"),
        ("a slice", "slice narrow", ".GetItem", "Slice"),
        (
            "one place, or several (of a table: an embedding)",
            "select index index_select",
            ".Take",
            "Gather",
        ),
        ("turned around", "flip", ".Flip", ""),
        ("moved on, the last ones first", "roll", ".Roll", ""),
        ("zeros around", "pad constant_pad_nd", "ZeroPadding1D .Pad", "Pad"),
        ("frames cut off", "", "Cropping1D", ""),
    ],
    "masks": [
        ("one of two values", "where masked_fill", ".Where", "Where"),
        ("not", "logical_not bitwise_not", ".LogicalNot", "Not"),
        ("and", "logical_and bitwise_and __and__", ".LogicalAnd", "And"),
        ("or", "logical_or bitwise_or __or__", "", "Or"),
        ("equal, or not", "eq ne", ".Equal", "Equal"),
        ("greater", "gt ge", ".Greater .GreaterEqual", "Greater GreaterOrEqual"),
        ("less", "lt le", ".Less .LessEqual", "Less LessOrEqual"),
    ],
    "shapes": [
        (
            "other extents",
            "reshape view unflatten _unsafe_view _reshape_alias",
            "Reshape .Reshape",
            "Reshape",
        ),
        ("flat", "flatten", "Flatten", "Flatten"),
        (
            "axes in another order",
            "permute transpose swapaxes swapdims moveaxis movedim t mT numpy_T",
            "Permute .Transpose .Swapaxes .Moveaxis",
            "Transpose",
        ),
        ("an axis of 1 more", "unsqueeze", ".ExpandDims", "Unsqueeze"),
        ("an axis of 1 less", "squeeze", ".Squeeze", "Squeeze"),
        ("repeated", "expand expand_as repeat tile", "RepeatVector .Repeat .Tile", "Expand Tile"),
        ("for each frame", "", "TimeDistributed", ""),
    ],
    "nothing at inference": [
        (
            "dropout and noise",
            "dropout native_dropout alpha_dropout feature_dropout",
            "Dropout SpatialDropout1D SpatialDropout2D AlphaDropout GaussianDropout GaussianNoise",
            "Dropout",
        ),
        (
            "the same again",
            "alias clone contiguous detach lift_fresh_copy to _to_copy type_as python "
            "_assert_scalar _assert_tensor_metadata sym_constrain_range",
            "Identity InputLayer ActivityRegularization .StopGradient .Copy .Cast",
            "Identity Cast",
        ),
        (
            "constants and sizes",
            "tril triu empty full zeros ones zeros_like ones_like full_like new_zeros new_ones "
            "new_full scalar_tensor sym_size",
            ".ZerosLike .OnesLike",
            "Shape ConstantOfShape",
        ),
    ],
}


def rows(tables: Mapping[str, set[str]]) -> Iterator[tuple[str, list[tuple[str, list[list[str]]]]]]:
    """Each heading with its operations, and for each the names in every frontend.

    ``tables``: the names that the code of each frontend knows. Raises `ValueError`.
    """
    seen: dict[str, list[str]] = {frontend: [] for frontend in FRONTENDS}
    for heading, operations in ROWS.items():
        found = []
        for operation, *columns in operations:
            cells = [column.split() for column in columns]
            for frontend, cell in zip(FRONTENDS, cells, strict=True):
                seen[frontend] += cell
            found.append((operation, cells))
        yield heading, found
    for frontend, names in seen.items():
        twice = {name for name in names if names.count(name) > 1}
        wrong = twice | (set(names) ^ tables[frontend])
        if wrong:
            raise ValueError(f"{frontend}: {sorted(wrong)} do not stand in one row and the code")
