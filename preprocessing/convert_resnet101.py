"""ImageNet weights of ResNet-101, for VCM-SDD: torchvision's file to one that vidrec takes."""

import argparse
from pathlib import Path

import numpy as np

from vidrec.files import new_file
from vidrec.models.backbones.resnet101 import resnet101
from vidrec.models.backbones.resnet101_weights import arrays_of, assign, from_torchvision


def read(path):
    if path.suffix == ".npz":
        with np.load(path, allow_pickle=False) as file:
            return dict(file)
    if path.suffix == ".safetensors":
        from safetensors.numpy import load_file

        return load_file(path)
    import torch

    state = torch.load(path, map_location="cpu", weights_only=True)
    return {name: tensor.numpy() for name, tensor in state.items()}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("source", type=Path, help=".pth (needs torch), .safetensors or .npz")
    parser.add_argument("target", type=Path, help="what `weights` is then set to; gets .npz")
    paths = parser.parse_args()
    target = paths.target.with_suffix(".npz")
    try:
        net = resnet101(32, 3)
        assign(net, from_torchvision(read(paths.source)))
        with new_file(target) as file:
            np.savez(file, **arrays_of(net))
    except (ValueError, OSError, ImportError, RuntimeError) as error:
        parser.error(f"{paths.source}: {error}")
    print(f"{target} is ready.")
