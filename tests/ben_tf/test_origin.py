"""Where something was made: against the clock and versions of Python itself."""

import datetime

import tensorflow as tf

import ben_tf
from ben_tf import origin


def test_here_and_now():
    made = origin.here_and_now()
    age = datetime.datetime.now(datetime.UTC) - datetime.datetime.fromisoformat(
        made.date
    )
    assert datetime.timedelta(0) <= age < datetime.timedelta(minutes=5)
    assert made.version == ben_tf.__version__
    assert made.tensorflow == tf.__version__
    assert made.date in str(made)
    assert made.device in str(made)


def test_a_short_fingerprint_begins_the_long_one():
    assert origin.short("0123456789abcdef") == "0123456789ab"
    assert origin.short("") == ""
