"""An experiment is one YAML file; a key that is not known here is an error."""

from vidrec.config.experiment import STREAMS, Experiment, dump, load
from vidrec.config.variants import of_protocol, of_split

__all__ = ["STREAMS", "Experiment", "dump", "load", "of_protocol", "of_split"]
