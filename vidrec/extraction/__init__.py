"""From video files to a store of JPG frames and flow. TensorFlow is loaded by packs alone."""
