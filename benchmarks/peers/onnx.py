"""ONNX Runtime: prediction only; the network as Gemm nodes, pixels cast within the graph."""

from __future__ import annotations

import os

import numpy as np
import onnxruntime as ort
from onnx import TensorProto, helper, numpy_helper

KINDS = {"sigmoid": "Sigmoid", "tanh": "Tanh", "relu": "Relu"}


def versions():
    return {"onnxruntime": ort.__version__}


def graph(case):
    work, nodes, constants, at = case.work, [], [], "x"
    kind = TensorProto.FLOAT
    if case.x.dtype == np.uint8:
        kind = TensorProto.UINT8
        constants.append(numpy_helper.from_array(np.float32(1 / 255), "scale"))
        nodes += [
            helper.make_node("Cast", ["x"], ["cast"], to=TensorProto.FLOAT),
            helper.make_node("Mul", ["cast", "scale"], ["scaled"]),
        ]
        at = "scaled"
    last = "Sigmoid" if work.loss == "squared_error" else "Softmax"
    names = [KINDS[work.activation]] * (len(work.sizes) - 2) + [last]
    for i, ((W, b), name) in enumerate(zip(case.layers, names, strict=True)):
        # Input-major, so that nothing is transposed at run time.
        constants.append(numpy_helper.from_array(np.ascontiguousarray(W.T), f"W{i}"))
        constants.append(numpy_helper.from_array(b, f"b{i}"))
        nodes.append(helper.make_node("Gemm", [at, f"W{i}", f"b{i}"], [f"z{i}"]))
        nodes.append(helper.make_node(name, [f"z{i}"], [f"a{i}"]))
        at = f"a{i}"
    made = helper.make_graph(
        nodes,
        "network",
        [helper.make_tensor_value_info("x", kind, [None, work.sizes[0]])],
        [helper.make_tensor_value_info(at, TensorProto.FLOAT, [None, work.sizes[-1]])],
        constants,
    )
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


def predictor(case):
    options = ort.SessionOptions()
    options.intra_op_num_threads = len(os.sched_getaffinity(0))
    session = ort.InferenceSession(
        graph(case).SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    run = session.run
    return lambda x: run(None, {"x": x})[0]
