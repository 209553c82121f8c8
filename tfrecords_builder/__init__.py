"""From the BigEarthNet-MM archive to TFRecords.

Importing the package makes the dataset `bigearthnet_mm` known to TFDS. It does
not load TensorFlow.
"""

import sys

# While Python locates the module of `python -m`, argv holds just this. TFDS
# takes long to import, and a command imports it after its flags are parsed.
if sys.argv[:1] != ["-m"]:
    from tfrecords_builder import bigearthnet_mm_dataset_builder as _  # noqa: F401
