"""BC-ResNet-8: published counts and shapes."""

import pytest
import torch

from edgeasc.nn.layers import count_parameters, trace
from edgeasc.nn.registry import create_model


@pytest.mark.parametrize(
    ("classes", "bands", "head_norm", "total"),
    [(10, 4, False, 317098), (10, 4, True, 317610), (12, 5, False, 320556), (12, 5, True, 321068)],
)
def test_parameter_count_equals_the_papers(classes, bands, head_norm, total):
    network = create_model("bcresnet-8", classes, bands=bands, head_norm=head_norm)
    assert count_parameters(network) == total


def test_time_is_kept_and_frequency_falls_to_an_eighth():
    network, shapes = create_model("bcresnet-8", c=8).eval(), []
    network.stage4.register_forward_hook(lambda module, inputs, output: shapes.append(tuple(output.shape)))
    with torch.no_grad():
        logits = network(torch.zeros(1, 1, 256, 20))
    assert shapes == [(1, 20, 32, 20)]
    assert logits.shape == (1, 10)


def test_keyword_spotting_input_of_40_mels_works_with_5_bands():
    with torch.no_grad():
        assert create_model("bcresnet-8", 12, c=8, bands=5).eval()(torch.zeros(2, 1, 40, 101)).shape == (2, 12)


def test_dilation_doubles_from_stage_to_stage():
    network = create_model("bcresnet-8")
    dilations = [network.get_submodule(f"stage{i}")[1].temp_dw.dilation for i in (1, 2, 3, 4)]
    assert dilations == [(1, 1), (1, 2), (1, 4), (1, 8)]


def test_trace_is_module_calls_alone():
    operations = [node.op for node in trace(create_model("bcresnet-8", c=8)).graph.nodes]
    assert set(operations[1:-1]) == {"call_module"}
