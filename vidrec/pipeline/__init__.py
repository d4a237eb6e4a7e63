"""From a store of frames and flow to batches of clips, as a tf.data pipeline."""
