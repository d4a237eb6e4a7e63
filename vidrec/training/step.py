"""One training step: the same whether one device does it, several, or several machines."""

import keras
import tensorflow as tf

SUM = tf.distribute.ReduceOp.SUM


class TrainingStep:
    """A step of an optimizer along the gradient of a batch's mean loss.

    The batch may come in parts: each device takes its own, and with `accumulate` it takes several
    one after the other, so that a batch fits which is too large for it. The gradients of all parts
    are summed, then clipped, then applied: the step is that of the whole batch. Batch normalisation
    alone sees the parts that are taken one after the other apart.

    Args:
        model: keras.Model from what the batches hold to logits (B, N), made in the scope of the
            strategy in use.
        optimizer: keras.optimizers.Optimizer, built in that scope.
        spec: element_spec of the distributed Dataset of (clips, labels) that the parts come from.
        batch_size: int, B of all parts together.
        accumulate: int >= 1, parts that a device takes one after the other.
        clip_norm: float or None, the largest norm of all gradients together.
        compiled: bool, whether XLA compiles the step; on one device only.
    """

    def __init__(
        self, model, optimizer, spec, *, batch_size, accumulate=1, clip_norm=None, compiled=False
    ):
        self.model, self.optimizer, self.batch_size = model, optimizer, batch_size
        self.accumulate, self.clip_norm = accumulate, clip_norm
        self.strategy = tf.distribute.get_strategy()
        self.replicas = self.strategy.num_replicas_in_sync
        self.variables = [variable.value for variable in model.trainable_variables]
        signature = [spec, tf.TensorSpec((), tf.float32)]
        jit = True if compiled else None
        if accumulate == 1:
            self._whole = tf.function(self._whole, input_signature=signature, jit_compile=jit)
            return
        self.sums = [self._zeros(variable) for variable in self.variables]
        self._add = tf.function(self._add, input_signature=signature, jit_compile=jit)
        self._apply = tf.function(self._apply, jit_compile=jit)

    def __call__(self, parts, stop=False):
        """Takes the step.

        Args:
            parts: list of `accumulate` elements of the Dataset.
            stop: bool, whether this machine was asked to stop.

        Returns:
            (loss, hits, stop): float, the mean loss of the batch with all regularisation; how many
            of its examples were right; whether any machine was asked to stop.
        """
        stop = tf.constant(stop, tf.float32)
        if self.accumulate == 1:
            told = self._whole(parts[0], stop).numpy()
        else:
            told = sum(self._add(part, stop).numpy() for part in parts)
            self._apply()
        return float(told[0]), int(told[1]), bool(told[2])

    def _whole(self, part, stop):
        def on_each(part, stop):
            gradients, told = self._gradients(part, stop)
            self._update(gradients)
            return told

        return self.strategy.reduce(SUM, self.strategy.run(on_each, args=(part, stop)), axis=None)

    def _add(self, part, stop):
        def on_each(part, stop):
            gradients, told = self._gradients(part, stop)
            for total, gradient in zip(self.sums, gradients, strict=True):
                if gradient is not None:
                    total.assign_add(gradient)
            return told

        return self.strategy.reduce(SUM, self.strategy.run(on_each, args=(part, stop)), axis=None)

    def _apply(self):
        def on_each():
            self._update([tf.identity(total) for total in self.sums])
            for total in self.sums:
                total.assign(tf.zeros_like(total))

        self.strategy.run(on_each)

    def _gradients(self, part, stop):
        """On one device: the gradients of its share of the loss, and what the step tells."""
        clips, labels = part
        with tf.GradientTape() as tape:
            logits = tf.cast(self.model(clips, training=True), tf.float32)
            losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
            loss = tf.reduce_sum(losses) / self.batch_size
            if self.model.losses:  # the same on each device, and for each part
                penalty = tf.add_n([tf.cast(each, tf.float32) for each in self.model.losses])
                loss += penalty / (self.replicas * self.accumulate)
            scaled = self.optimizer.scale_loss(loss)
        gradients = tape.gradient(scaled, self.variables)
        hits = tf.math.count_nonzero(
            tf.argmax(logits, axis=-1, output_type=labels.dtype) == labels, dtype=tf.float32
        )
        return gradients, tf.stack([loss, hits, stop])

    def _update(self, gradients):
        """On one device: sums the gradients of all devices, clips the sum, applies it."""
        scale = None
        if isinstance(self.optimizer, keras.optimizers.LossScaleOptimizer):
            scale = self.optimizer.dynamic_scale.value
        parted = self.replicas > 1 and (self.clip_norm is not None or scale is not None)
        if parted:
            # Keras itself would clip each device's gradients, and ask each whether they are finite,
            # before it sums them.
            gradients = self._summed(gradients)
        if self.clip_norm is not None:
            norm = self.clip_norm if scale is None else self.clip_norm * scale
            gradients, _ = tf.clip_by_global_norm(gradients, norm)
        if parted:  # it still sums
            gradients = [None if g is None else g / self.replicas for g in gradients]
        self.optimizer.apply(gradients, self.model.trainable_variables)

    def _summed(self, gradients):
        there = [g for g in gradients if g is not None]
        totals = iter(tf.distribute.get_replica_context().all_reduce(SUM, there))
        return [None if g is None else next(totals) for g in gradients]

    def _zeros(self, variable):
        """A sum that each device has of its own."""
        with self.strategy.scope():
            return tf.Variable(
                tf.zeros(variable.shape, variable.dtype),
                trainable=False,
                synchronization=tf.VariableSynchronization.ON_READ,
                aggregation=tf.VariableAggregation.SUM,
            )
