"""What the converters of public weights share: reading PyTorch files, writing what vidrec takes."""

import argparse
from pathlib import Path

import numpy as np

from vidrec.files import new_file


def read(path):
    """A state dict's arrays by name; ValueError if the file is damaged or holds none."""
    try:
        return _read(path)
    except (OSError, ImportError):  # not there, or no reader: they say so
        raise
    except Exception as error:  # of zipfile, pickle, safetensors, torch, each of its own kind
        what = f"{type(error).__name__}: {error}"
        raise ValueError(f"cannot be read as a {path.suffix} of weights ({what})") from error


def _read(path):
    if path.suffix == ".npz":
        with open(path, "rb") as file, np.load(file, allow_pickle=False) as arrays:
            return dict(arrays)
    if path.suffix == ".safetensors":
        from safetensors.numpy import load_file

        return load_file(path)
    import torch

    state = torch.load(path, map_location="cpu", weights_only=True)
    return {name: tensor.numpy() for name, tensor in state.get("state_dict", state).items()}


def arguments(description):
    """The parser of a converter's command line."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("source", type=Path, help=".pth, .pickle (need torch), .safetensors, .npz")
    parser.add_argument("target", type=Path, help="what `weights` is then set to; gets .npz")
    return parser


def convert(parser, given, net, assign, arrays_of):
    """Reads, puts into the network by `assign(net, state)`, writes `arrays_of(net)`."""
    target = given.target.with_suffix(".npz")
    try:
        assign(net, read(given.source))
        with new_file(target) as file:
            np.savez(file, **arrays_of(net))
    except (ValueError, OSError, ImportError) as error:
        parser.error(f"{given.source}: {error}")
    print(f"{target} is ready.")
