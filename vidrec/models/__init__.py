"""The papers' models: functional Keras, from uint8 clips to float32 logits, on any backend."""
