"""ImageNet weights of ResNet-101, for VCM-SDD: torchvision's file to one that vidrec takes."""

from public_weights import arguments, convert

from vidrec.models.backbones.resnet101 import resnet101
from vidrec.models.backbones.resnet101_weights import arrays_of, assign, from_torchvision

if __name__ == "__main__":
    parser = arguments(__doc__)
    convert(
        parser,
        parser.parse_args(),
        resnet101(32, 3),
        lambda net, state: assign(net, from_torchvision(state)),
        arrays_of,
    )
