"""Names of networks, and refusals of wrong ones."""

import subprocess
import sys

import pytest
import torch
from torch import nn

from edgeasc.errors import UsageError
from edgeasc.nn.layers import count_parameters
from edgeasc.nn.registry import create_model, list_models


# cnn10-resnet22 decides in three places: test_fusion.py counts them.
@pytest.mark.parametrize("name", [name for name in list_models() if name != "cnn10-resnet22"])
def test_every_name_builds_a_network_for_the_classes_asked(name):
    with torch.device("meta"):
        networks = [create_model(name, classes) for classes in (10, 12)]
    last = [module for module in networks[0].modules() if isinstance(module, nn.Conv2d)][-1]
    assert count_parameters(networks[1]) - count_parameters(networks[0]) == 2 * (last.in_channels + 1)


def test_unknown_model_names_the_nearest():
    with pytest.raises(UsageError, match="did you mean 'bcresnet-mod-1'"):
        create_model("bcresnet-mod1")


def test_unknown_option_names_the_nearest():
    with pytest.raises(UsageError, match="no option 'drpout'; did you mean 'dropout'"):
        create_model("bcresnet-mod-1", drpout=0.2)


@pytest.mark.parametrize("value", [10.0, "10", True])
def test_option_of_the_wrong_kind_is_refused(value):
    with pytest.raises(UsageError, match="option c of bcresnet-mod-1 must be int"):
        create_model("bcresnet-mod-1", c=value)


def test_listing_models_does_not_import_torch():
    code = "import sys; from edgeasc.nn.registry import list_models; list_models(); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
