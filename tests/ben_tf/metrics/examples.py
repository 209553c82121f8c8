"""Labels and probabilities that tests of several modules score."""

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp


def random_predictions(num_samples=300, num_classes=19, seed=0):
    """Labels and probabilities with ties, empty samples and empty classes."""
    random = np.random.default_rng(seed)
    labels = random.random((num_samples, num_classes)) < 0.2
    labels[:, 3] = False  # A class without a positive.
    labels[5] = False  # A sample without a label.
    labels[6] = True  # A sample with all labels.
    signal = 0.4 * random.random(labels.shape) + 0.35 * labels
    probabilities = np.round(signal, 2).astype(np.float32)  # Ties.
    probabilities[7] = 0.1  # No prediction.
    probabilities[:, 4] = 0.2  # A class that is never predicted.
    return labels, probabilities


PREDICTIONS = st.integers(1, 12).flatmap(
    lambda num_samples: st.tuples(
        hnp.arrays(bool, (num_samples, 5)),
        hnp.arrays(
            np.float32,
            (num_samples, 5),
            # Multiples of 1/128 are exact: no bin border is missed by a hair.
            elements=st.integers(0, 128).map(lambda step: step / 128),
        ),
        st.lists(st.integers(1, num_samples), max_size=4),
    )
)
