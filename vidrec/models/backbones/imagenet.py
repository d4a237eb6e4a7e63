"""Where the ImageNet weights of keras.applications come from.

Addresses alone, without Keras: `vidrec doctor` reads them on machines where Keras cannot be loaded.
"""

_HOST = "https://storage.googleapis.com/tensorflow/keras-applications"

RESNET101 = f"{_HOST}/resnet/resnet101_weights_tf_dim_ordering_tf_kernels_notop.h5"
VGG16 = f"{_HOST}/vgg16/vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5"
XCEPTION = f"{_HOST}/xception/xception_weights_tf_dim_ordering_tf_kernels_notop.h5"
