"""BigEarthNet-MM in TensorFlow: train, evaluate, export, retrieve.

Importing the package is cheap: it loads neither TensorFlow nor NumPy.
"""

import os

__version__ = "0.1.0"

# From TensorFlow 2.16 on, `tf.keras` is Keras 3 unless this is set before
# TensorFlow is first used. Keras 3 cannot run MultiWorkerMirroredStrategy.fit.
os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")
