"""Data: files to tables and arrays, splits, preprocessing that is stored with the model, batches."""

from dlscratch.datasets.batches import Batches
from dlscratch.datasets.csv_reader import CsvReader
from dlscratch.datasets.describe import ColumnSummary, describe
from dlscratch.datasets.idx_reader import IdxReader, read_idx
from dlscratch.datasets.npz_reader import NpzReader
from dlscratch.datasets.prepare import Part, Prepared, own_part, prepare
from dlscratch.datasets.preprocessing import Preprocessing, preprocessor_from_state
from dlscratch.datasets.preprocessor import Preprocessor
from dlscratch.datasets.readers import READERS, Reader
from dlscratch.datasets.sources import fingerprint
from dlscratch.datasets.splits import Split, split
from dlscratch.datasets.tables import Arrays, Categories, Column, Kind, Table
from dlscratch.datasets.targets import Target, find_target

__all__ = [
    "READERS",
    "Arrays",
    "Batches",
    "Categories",
    "Column",
    "ColumnSummary",
    "CsvReader",
    "IdxReader",
    "Kind",
    "NpzReader",
    "Part",
    "Prepared",
    "Preprocessing",
    "Preprocessor",
    "Reader",
    "Split",
    "Table",
    "Target",
    "describe",
    "find_target",
    "fingerprint",
    "own_part",
    "prepare",
    "preprocessor_from_state",
    "read_idx",
    "split",
]
