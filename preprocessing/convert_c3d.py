"""Sports-1M weights of C3D: a public PyTorch file to one that vidrec takes."""

from importlib.util import find_spec

from public_weights import arguments, convert

from vidrec.models.backbones.c3d_weights import arrays_of, assign, from_pytorch
from vidrec.models.conv3d_baselines import build

if __name__ == "__main__":
    parser = arguments(__doc__)
    parser.add_argument("--rgb", action="store_true", help="the file's network takes RGB, not BGR")
    given = parser.parse_args()
    if given.source.suffix not in (".npz", ".safetensors") and not find_spec("torch"):
        parser.error(f"{given.source} needs PyTorch to be read: pip install torch")
    convert(
        parser,
        given,
        build(1),
        lambda net, state: assign(net, from_pytorch(state, bgr=not given.rgb)),
        arrays_of,
    )
