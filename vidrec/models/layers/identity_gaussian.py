"""First values of a convolution that fuses feature maps: their weighted sum, smoothed.

Feichtenhofer, Pinz, Zisserman, "Convolutional Two-Stream Network Fusion for Video Action
Recognition", CVPR 2016: two identity matrices, one a stream, spread by a Gaussian.
"""

import keras
import numpy as np
from keras import ops


@keras.saving.register_keras_serializable(package="vidrec")
class IdentityGaussian(keras.initializers.Initializer):
    """Kernel (t, h, w, n * C, C) of n stacked maps of C channels.

    Output channel c is the sum over the maps of share * channel c, smoothed by a Gaussian cube that
    sums to 1: where all maps are 1, the output is sum(shares) away from the border.

    Args:
        shares: sequence of n floats, one a map in the order of concatenation.
        sigma: float > 0, of the Gaussian, in cells of the kernel.

    Raises:
        ValueError: when called, if the kernel's channels are not n * C and C.
    """

    def __init__(self, shares=(0.25, 0.75), sigma=1.0):
        self.shares = tuple(shares)
        self.sigma = sigma

    def __call__(self, shape, dtype=None):
        *sizes, stacked, channels = shape
        if stacked != len(self.shares) * channels:
            raise ValueError(
                f"A kernel that fuses {len(self.shares)} maps takes {len(self.shares)} times the "
                f"channels that it gives. Received: shape={tuple(shape)}"
            )
        cube = np.ones(())
        for size in sizes:
            steps = np.arange(size) - (size - 1) / 2
            cube = cube[..., None] * np.exp(-(steps**2) / (2 * self.sigma**2))
        sums = np.concatenate([share * np.eye(channels) for share in self.shares])
        kernel = (cube / cube.sum())[..., None, None] * sums
        return ops.convert_to_tensor(kernel.astype("float32"), dtype)

    def get_config(self):
        return {"shares": self.shares, "sigma": self.sigma}
