"""One device, all of a machine, or several machines: the same code runs under each strategy."""

import functools
import json
import os

import keras
import tensorflow as tf

CLUSTER = "TF_CONFIG"
EXAMPLE = json.dumps(
    {
        "cluster": {"worker": ["first.host:2222", "second.host:2222"]},
        "task": {"type": "worker", "index": 0},
    }
)


def choose_strategy(*, slurm=False):
    """The strategy for what there is.

    Several machines, if TF_CONFIG names them or `slurm` is set: MultiWorkerMirroredStrategy, which
    must be made before TensorFlow does anything else. Else MirroredStrategy over the GPUs if there
    are several, or over several logical CPUs if a test has made them; else the default strategy.

    Args:
        slurm: bool, take the machines from SLURM: `srun vidrec train ... --slurm`.

    Raises:
        ValueError: if TF_CONFIG is not as TensorFlow wants it, or this is no step of SLURM.
    """
    if slurm:
        _take_from_slurm()
    if len(_workers()) > 1:
        return _of_several_machines()
    gpus = tf.config.list_logical_devices("GPU")
    devices = gpus or tf.config.list_logical_devices("CPU")
    if len(devices) > 1:
        return _over(tuple(device.name for device in devices))
    return tf.distribute.get_strategy()


# One of each in a process: sums are known by their number within a strategy, so that those of a
# second one would be taken for those of the first.
@functools.cache
def _over(devices):
    return tf.distribute.MirroredStrategy(devices)


@functools.cache
def _of_several_machines():
    cluster = tf.distribute.cluster_resolver.TFConfigClusterResolver()
    return tf.distribute.MultiWorkerMirroredStrategy(cluster)


def _take_from_slurm():
    """Sets TF_CONFIG to the tasks of this step of SLURM."""
    try:
        # Which task takes which GPU is SLURM's affair: as many as one likes, and none is set.
        options = {"gpus_per_node": 1024, "gpus_per_task": 1, "auto_set_gpu": False}
        found = tf.distribute.cluster_resolver.SlurmClusterResolver(**options)
        cluster = found.cluster_spec().as_dict()
    except RuntimeError as error:
        raise ValueError(
            "--slurm takes the machines from a step of SLURM: start it by `srun`, in sbatch or "
            f"salloc, one task a machine. ({error})"
        ) from error
    task = {"type": "worker", "index": found.task_id}
    os.environ[CLUSTER] = json.dumps({"cluster": cluster, "task": task})


def _workers():
    """The addresses in TF_CONFIG; empty without it."""
    text = os.environ.get(CLUSTER)
    if not text:
        return []
    try:
        content = json.loads(text)
        workers, task = content["cluster"]["worker"], content["task"]
        if task["type"] != "worker" or not 0 <= task["index"] < len(workers):
            raise ValueError("its task is none of its workers")
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(
            f"{CLUSTER} must be as in {EXAMPLE}. Received: {text} ({error!r})"
        ) from error
    return workers


def is_chief():
    """Whether this machine, of those of the strategy in use, is the one that writes and prints."""
    return tf.distribute.get_strategy().extended.should_checkpoint


def wait_for_all():
    """Returns when all machines of the strategy in use have come here."""
    strategy = tf.distribute.get_strategy()
    if not isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy):
        return

    @tf.function
    def count():
        return strategy.reduce("SUM", strategy.run(lambda: tf.constant(1.0)), axis=None)

    count()


def distribute(clips_from, epoch, step, batch_size, accumulate=1):
    """The batches of a stage, in the parts that one device takes at a time.

    Args:
        clips_from: function of (epoch, step, shard) to a Dataset, see `fit.train_stage`.
        epoch, step: int, where it begins.
        batch_size, accumulate: as in `TrainingStep`.

    Returns:
        tf.distribute.DistributedDataset; a Dataset if there is one device.
    """
    strategy = tf.distribute.get_strategy()
    at_once = batch_size // strategy.num_replicas_in_sync // accumulate

    def of_machine(context):
        data = clips_from(epoch, step, (context.input_pipeline_id, context.num_input_pipelines))
        own = batch_size // context.num_input_pipelines
        return data if own == at_once else data.rebatch(at_once, drop_remainder=True)

    return strategy.distribute_datasets_from_function(of_machine)


def check_parts(batch_size, accumulate=1, *, compiled=False):
    """Refuses a stage that the strategy in use cannot train.

    Raises:
        ValueError: if a batch does not divide evenly over its devices, and the turns of each (parts
            that differ would be averaged as if they did not), or if XLA is to compile the step of
            several devices.
    """
    replicas = tf.distribute.get_strategy().num_replicas_in_sync
    if batch_size % (replicas * accumulate):
        turns = f" times `accumulate`, {accumulate}" if accumulate > 1 else ""
        fewer = " Or take fewer GPUs: CUDA_VISIBLE_DEVICES=0, for instance." if replicas > 1 else ""
        raise ValueError(
            f"`batch_size` must be a multiple of the {replicas} devices{turns}.{fewer} "
            f"Received: batch_size={batch_size}"
        )
    if compiled and replicas > 1:
        raise ValueError(
            "XLA compiles the step of one device only: leave `compiled` out. "
            f"Received: {replicas} devices"
        )


def check_precision(model):
    """Refuses a precision in which a model would learn from wrong gradients.

    On a CPU, oneDNN's gradient of a 3D convolution's kernel is of memory that is not its own where
    there are fewer frames than the kernel is long, in bfloat16 and on some CPUs (TensorFlow 2.21).

    Raises:
        ValueError: if the model has 3D convolutions in bfloat16 and there is no GPU.
    """
    layers = [layer for layer in model._flatten_layers() if isinstance(layer, keras.layers.Conv3D)]
    wrong = any(layer.compute_dtype == "bfloat16" for layer in layers)
    without = os.environ.get("TF_ENABLE_ONEDNN_OPTS") == "0"
    if wrong and not without and not tf.config.list_logical_devices("GPU"):
        raise ValueError(
            f"{model.name} has 3D convolutions, of which TensorFlow computes wrong gradients in "
            "bfloat16 on a CPU. Set `precision: float32` or, in the environment, "
            "TF_ENABLE_ONEDNN_OPTS=0. Received: precision=mixed_bfloat16 and no GPU"
        )


def parts_of(batch_size, accumulate=1):
    """How the strategy in use parts a batch, as a phrase."""
    replicas = tf.distribute.get_strategy().num_replicas_in_sync
    factors = [f"{batch_size // replicas // accumulate} clips"]
    factors += [f"{accumulate} turns"] * (accumulate > 1)
    factors += [f"{replicas} devices"] * (replicas > 1)
    return f"batch {batch_size}" + (f" = {' x '.join(factors)}" if len(factors) > 1 else "")


def synchronise_batch_norm(model):
    """Lets every BatchNormalization layer see the whole batch, not each device its own part.

    Without it, a step on several devices differs from the same step on one. Nothing is changed
    where the strategy in use has one device.
    """
    if tf.distribute.get_strategy().num_replicas_in_sync == 1:
        return
    for layer in model._flatten_layers():
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.synchronized = True
