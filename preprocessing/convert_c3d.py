"""Sports-1M weights of C3D: a public PyTorch file to one that vidrec takes."""

import argparse
from pathlib import Path

import numpy as np

from vidrec.files import new_file
from vidrec.models.backbones.c3d_weights import arrays_of, assign, from_pytorch
from vidrec.models.conv3d_baselines import build


def read(path):
    if path.suffix == ".npz":
        with np.load(path, allow_pickle=False) as file:
            return dict(file)
    if path.suffix == ".safetensors":
        from safetensors.numpy import load_file

        return load_file(path)
    import torch

    state = torch.load(path, map_location="cpu", weights_only=True)
    return {name: tensor.numpy() for name, tensor in state.get("state_dict", state).items()}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("source", type=Path, help=".pth, .pickle (need torch), .safetensors, .npz")
    parser.add_argument("target", type=Path, help="what `weights` is then set to; gets .npz")
    parser.add_argument("--rgb", action="store_true", help="the file's network takes RGB, not BGR")
    given = parser.parse_args()
    target, net = given.target.with_suffix(".npz"), build(1)
    try:
        assign(net, from_pytorch(read(given.source), bgr=not given.rgb))
        with new_file(target) as file:
            np.savez(file, **arrays_of(net))
    except (ValueError, OSError, ImportError, RuntimeError) as error:
        parser.error(f"{given.source}: {error}")
    print(f"{target} is ready.")
