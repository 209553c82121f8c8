"""From the BigEarthNet-MM archive to TFRecords.

Importing the package is cheap: it loads neither TensorFlow nor TFDS.
"""
