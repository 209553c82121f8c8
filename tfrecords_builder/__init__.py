"""From the BigEarthNet-MM archive to TFRecords.

Importing the package makes the dataset `bigearthnet_mm` known to TFDS. It does
not load TensorFlow.
"""

from tfrecords_builder import bigearthnet_mm_dataset_builder as _  # noqa: F401
