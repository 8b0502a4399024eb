"""Data: a name or a path in, shuffled float32 batches out. Nothing that a data file says is trusted."""

from minigan.data import toys
from minigan.data.batches import Batch, Batches
from minigan.data.catalogue import describe, load
from minigan.data.dataset import Dataset
from minigan.data.mirrors import fetch

__all__ = ["Batch", "Batches", "Dataset", "describe", "fetch", "load", "toys"]
