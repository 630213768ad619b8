"""fp16: a network in half the bits; what follows it, residual and score, stays in float.

The converter is the one that comes with ONNX Runtime (grown out of onnxconverter-common). It is
given the network alone: of a whole graph it would round whatever is handed on, between operators
in float, too. The graph still takes and gives float32: the contract is one for all files.

Where a processor has no kernels for fp16, ONNX Runtime computes in fp32 and rounds in between: the
file is half as large, and not faster.
"""

from collections.abc import Collection, Sequence

import onnx
import onnxruntime
from onnx.utils import Extractor
from onnxruntime.quantization.onnx_model import ONNXModel
from onnxruntime.transformers.float16 import DEFAULT_OP_BLOCK_LIST, convert_float_to_float16

PRODUCTS = ("Conv", "ConvTranspose", "Gemm", "MatMul")


class Half:
    """Half precision of one graph; its operators are types."""

    def __init__(self, model: onnx.ModelProto) -> None:
        self._model = model
        self._network = network_of(model)

    @property
    def operators(self) -> Sequence[str]:
        """Types of operators in the network that there are kernels for."""
        types = dict.fromkeys(it.op_type for it in self._network.graph.node)
        return [it for it in types if it not in DEFAULT_OP_BLOCK_LIST]

    @property
    def in_words(self) -> str:
        """How, for the manifest."""
        return (
            f"half precision by onnxruntime {onnxruntime.__version__}: the network up to its last "
            "product in fp16; what follows, residual and score, in fp32"
        )

    @property
    def calibration_images(self) -> int:
        """None: numbers keep their range."""
        return 0

    def reduced(self, leave: Collection[str]) -> onnx.ModelProto:
        """The graph with its network in fp16, but for operators of these types."""
        network = onnx.ModelProto()
        network.CopyFrom(self._network)
        converted = convert_float_to_float16(
            network, keep_io_types=True, op_block_list=[*DEFAULT_OP_BLOCK_LIST, *leave]
        )
        return _continued(converted, self._model)


def network_of(model: onnx.ModelProto) -> onnx.ModelProto:
    """The products of a graph and all that leads to one, without the arithmetic at the end."""
    needed: set[str] = set()  # values
    made: list[str] = []
    after: set[str] = {it.name for it in model.graph.output}
    for node in reversed(model.graph.node):  # in the order of computation: who takes comes after
        if node.op_type in PRODUCTS or needed & set(node.output):
            needed |= set(node.input)
            made += node.output
        else:
            after |= set(node.input)
    network = Extractor(model).extract_model(
        [it.name for it in model.graph.input], [it for it in made if it in after]
    )
    # The converter takes a constant that is described among the values for one of them.
    constants = {it.name for it in network.graph.initializer}
    described = [it for it in network.graph.value_info if it.name not in constants]
    del network.graph.value_info[:]
    network.graph.value_info.extend(described)
    return network


def _continued(network: onnx.ModelProto, model: onnx.ModelProto) -> onnx.ModelProto:
    """A model whose network is replaced by one that gives values of the same names."""
    whole = onnx.ModelProto()
    whole.CopyFrom(model)
    graph = whole.graph
    given = {name for node in network.graph.node for name in node.output}
    rest = [it for it in model.graph.node if not given & set(it.output)]
    used = {name for node in rest for name in node.input}
    constants = {it.name: it for it in model.graph.initializer if it.name in used}
    for field in (graph.node, graph.initializer, graph.value_info):
        del field[:]
    graph.node.extend([*_apart(network.graph, set(constants)), *rest])
    graph.initializer.extend([*network.graph.initializer, *constants.values()])
    ONNXModel(whole).topological_sort()  # the converter appends its own nodes at the end
    return whole


def _apart(network: onnx.GraphProto, taken: set[str]) -> list[onnx.NodeProto]:
    """Its nodes, with its constants renamed where what follows has one of the same name in fp32."""
    new = {it.name: f"{it.name}_in_fp16" for it in network.initializer if it.name in taken}
    for constant in network.initializer:
        constant.name = new.get(constant.name, constant.name)
    for node in network.node:
        for at, name in enumerate(node.input):
            node.input[at] = new.get(name, name)
    return list(network.node)
