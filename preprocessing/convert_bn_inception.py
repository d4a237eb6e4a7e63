"""ImageNet weights of BN-Inception, for T-STAM: a public PyTorch file to one that vidrec takes."""

from public_weights import arguments, convert

from vidrec.models.backbones.bn_inception import bn_inception
from vidrec.models.backbones.bn_inception_weights import arrays_of, assign, from_pytorch

if __name__ == "__main__":
    parser = arguments(__doc__)
    convert(
        parser,
        parser.parse_args(),
        bn_inception(32, 3, se_blocks=()),
        lambda net, state: assign(net, from_pytorch(state)),
        arrays_of,
    )
