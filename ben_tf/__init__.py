"""BigEarthNet-MM in TensorFlow: train, evaluate, export, retrieve.

Importing the package is cheap: it loads neither TensorFlow nor NumPy.
"""

import importlib.util
import os
import sys

__version__ = "0.1.0"

# From TensorFlow 2.16 on, `tf.keras` is Keras 3 unless this is set before
# TensorFlow is first used. Keras 3 cannot run MultiWorkerMirroredStrategy.fit.
# TensorFlow 2.15 has Keras 2 of its own, and fails if this is set without the
# package tf_keras.
if importlib.util.find_spec("tf_keras"):
    if "tensorflow" not in sys.modules:
        os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")
    # What TensorFlow takes for yes.
    if os.environ.get("TF_USE_LEGACY_KERAS") not in ("1", "true", "True"):
        raise ImportError(
            "ben_tf needs Keras 2, and TensorFlow is set to Keras 3. Import "
            "ben_tf before tensorflow, or set the environment variable "
            "TF_USE_LEGACY_KERAS=1."
        )

# TensorFlow uses oneDNN's kernels by itself only where the CPU has AVX512; with
# AVX2 they train K-Branch CNN 1.4 to 1.9 times and serve it twice as fast.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
