"""The export answers with TensorFlow alone; strangers are refused."""

import dataclasses
import json
import os
import pathlib
import shutil
import subprocess
import sys
import threading
from unittest import mock

import huggingface_hub
import msgspec
import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

from ben_tf import bigearthnet
from ben_tf import errors
from ben_tf import files
from ben_tf import finite
from ben_tf import models
from ben_tf import saved_model

PREPROCESSING = models.preprocessing_of("small_cnn", modality="S2")
ONLY_TENSORFLOW = """
import sys
import numpy as np
import tensorflow as tf
folder, arrays, answers = sys.argv[1:]
loaded = tf.saved_model.load(folder)
inputs = {name: tf.constant(x) for name, x in np.load(arrays).items()}
by_method = loaded.serve(inputs)
by_signature = loaded.signatures["serving_default"](**inputs)
np.savez(
    answers,
    serve=by_method,
    signature=list(by_signature.values())[0],
    embed=loaded.embed(inputs),
    text=loaded.describe().numpy().decode(),
)
assert not any(name.startswith("ben_tf") for name in sys.modules)
"""


@pytest.fixture(scope="module")
def model() -> tf.keras.Model:
    tf.keras.utils.set_random_seed(1)
    return models.make_model("small_cnn", modality="S2")


@pytest.fixture(scope="module")
def folder(model, tmp_path_factory) -> pathlib.Path:
    return saved_model.save(
        model,
        tmp_path_factory.mktemp("export") / "saved_model",
        preprocessing=PREPROCESSING,
        name="small_cnn",
        trained_on_synthetic=True,
    )


@pytest.fixture(scope="module")
def raw() -> dict[str, np.ndarray]:
    random = np.random.default_rng(0)
    return {
        name: random.integers(0, 4000, (2, *grid.shape)).astype(grid.dtype)
        for name, grid in bigearthnet.GRIDS.items()
        if grid.sensor == "S2"
    }


def test_the_description_names_the_statistics(model, tmp_path):
    """And an export of before, without them, was of the paper's."""
    v2 = bigearthnet.STATISTICS["v2"]
    folder = saved_model.save(
        model,
        tmp_path / "saved_model",
        preprocessing=dataclasses.replace(PREPROCESSING, statistics=v2),
        name="small_cnn",
        trained_on_synthetic=True,
    )
    loaded = saved_model.load(folder)
    assert loaded.statistics == v2
    text = json.loads(loaded.loaded.describe().numpy())
    assert text["statistics"]["mean"]["B02"] == 438.3721
    del text["statistics"]
    before = msgspec.json.decode(json.dumps(text), type=saved_model.Description)
    assert before.statistics == bigearthnet.PAPER_STATISTICS


def test_answers_equal_the_model(model, folder, raw):
    served = saved_model.load(folder)
    ready = PREPROCESSING(raw)
    np.testing.assert_allclose(
        served.serve(raw), model(ready, training=False), atol=1e-5
    )
    embedding = tf.keras.Model(
        model.inputs, model.get_layer("embedding").output
    )
    np.testing.assert_allclose(
        served.embed(raw), embedding(ready, training=False), atol=1e-4
    )
    assert served.class_names == bigearthnet.CLASSES_19
    assert served.modality == "S2"
    assert served.input_names == ("s2_10m", "s2_20m", "s2_60m")
    assert served.embedding_size == 64
    assert served.trained_on_synthetic


@pytest.mark.slow
def test_needs_only_tensorflow(folder, raw, tmp_path):
    np.savez(tmp_path / "raw.npz", **raw)
    # -I: neither the current folder nor PYTHONPATH. An installed ben_tf stays
    # out, too: the script asserts that nothing imported it.
    subprocess.run(
        [
            sys.executable,
            "-I",
            "-c",
            ONLY_TENSORFLOW,
            folder,
            tmp_path / "raw.npz",
            tmp_path / "answers.npz",
        ],
        check=True,
        cwd=tmp_path,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
    )
    answers = np.load(tmp_path / "answers.npz")
    served = saved_model.load(folder)
    np.testing.assert_allclose(answers["serve"], served.serve(raw), atol=1e-6)
    np.testing.assert_array_equal(answers["serve"], answers["signature"])
    np.testing.assert_allclose(answers["embed"], served.embed(raw), atol=1e-5)
    description = json.loads(str(answers["text"]))
    assert tuple(description["class_names"]) == bigearthnet.CLASSES_19


def _save_shared(path) -> pathlib.Path:
    """An export with all the signatures that there can be."""
    preprocessing = models.preprocessing_of("small_cnn")
    return saved_model.save(
        models.make_model(
            "small_cnn", preprocessing=preprocessing, fusion="shared"
        ),
        path,
        preprocessing=preprocessing,
        name="small_cnn",
        trained_on_synthetic=True,
    )


def test_signatures_name_what_they_return(tmp_path):
    signatures = tf.saved_model.load(
        str(_save_shared(tmp_path / "x"))
    ).signatures
    assert {
        name: {
            output: (spec.shape.as_list(), spec.dtype.name)
            for output, spec in signature.structured_outputs.items()
        }
        for name, signature in signatures.items()
    } == {
        "serving_default": {"probabilities": ([None, 19], "float32")},
        "embed": {"embedding": ([None, 128], "float32")},
        "embed_s1": {"embedding": ([None, 128], "float32")},
        "embed_s2": {"embedding": ([None, 128], "float32")},
        "class_names": {"class_names": ([19], "string")},
    }


def test_class_names_are_served_in_the_order_of_the_probabilities(folder):
    signature = tf.saved_model.load(str(folder)).signatures["class_names"]
    (names,) = signature(unused=tf.constant(0.0)).values()
    assert [x.decode() for x in names.numpy()] == list(bigearthnet.CLASSES_19)


def test_an_export_of_before_is_loaded_and_answers(
    raw, folder, tmp_path, monkeypatch
):
    """Its outputs have no names, and its classes no signature."""
    write = saved_model.write

    def write_as_before(module, path, *, signatures, card):
        write(
            module,
            path,
            signatures={
                "serving_default": module.serve,
                "embed": module.embed,
            },
            card=card,
        )

    monkeypatch.setattr(saved_model, "write", write_as_before)
    tf.keras.utils.set_random_seed(1)
    _save(models.make_model("small_cnn", modality="S2"), tmp_path / "x")
    before = saved_model.load(tmp_path / "x")
    assert set(before.loaded.signatures) == {"serving_default", "embed"}
    (output,) = before.loaded.signatures["embed"].structured_outputs
    assert output == "output_0"
    now = saved_model.load(folder)
    np.testing.assert_allclose(before.serve(raw), now.serve(raw), atol=1e-6)
    np.testing.assert_allclose(before.embed(raw), now.embed(raw), atol=1e-6)


def test_the_description_alone_has_no_model(folder):
    served = saved_model.load(folder)
    assert type(served.description) is saved_model.Description
    text = served.loaded.describe().numpy()
    assert msgspec.json.encode(served.description) == text


def test_a_failed_export_keeps_the_older_one(tmp_path):
    module = tf.Module()
    module.answer = tf.function(lambda: tf.constant(42), input_signature=[])
    path = tmp_path / "saved"
    saved_model.write(
        module, path, signatures={"answer": module.answer}, card="first"
    )
    with pytest.raises(ValueError):
        saved_model.write(
            module, path, signatures={"answer": "no function"}, card="second"
        )
    assert tf.saved_model.load(str(path)).answer() == 42
    assert (path / "README.md").read_text() == "first"


def test_a_card_is_never_that_of_another_model(model, tmp_path, monkeypatch):
    """An export that ends before or after its card is not there at all."""
    path = tmp_path / "saved_model"
    _save(model, path)
    other = models.make_model("small_cnn", modality="S2")
    for name in ("write", "sync"):
        with monkeypatch.context() as patches:
            patches.setattr(files, name, mock.Mock(side_effect=SystemExit))
            with pytest.raises(SystemExit):
                _save(other, path)
        fingerprint = saved_model.load(path).fingerprint
        assert fingerprint == saved_model.fingerprint(model)
        assert fingerprint in (path / "README.md").read_text()
    assert list(tmp_path.iterdir()) == [path]


def test_the_card_is_that_of_the_model(folder):
    served = saved_model.load(folder)
    card = huggingface_hub.ModelCard.load(folder / "README.md")
    assert card.data.library_name == "tensorflow"
    assert card.data.eval_results is None
    assert f"| SHA-256 of the weights | `{served.fingerprint}` |" in card.text
    assert f"`small_cnn`, {served.num_parameters:,} parameters" in card.text


def _spoilt() -> tf.keras.Model:
    """A model that gives a finite answer all the same: ReLU hides the NaN."""
    model = models.make_model("small_cnn", modality="S2")
    model.trainable_variables[0].assign(
        tf.fill(model.trainable_variables[0].shape, np.nan)
    )
    return model


def test_weights_that_are_nan_are_not_exported(tmp_path):
    path = tmp_path / "saved_model"
    with pytest.raises(
        errors.UserError, match=f"The weights for {path} hold N"
    ):
        _save(_spoilt(), path)
    assert not list(tmp_path.iterdir())


def test_an_export_whose_weights_are_nan_is_refused(tmp_path, monkeypatch):
    with monkeypatch.context() as patches:
        patches.setattr(finite, "check", lambda *_: None)
        _save(_spoilt(), tmp_path)
    with pytest.raises(errors.UserError, match=f"weights in {tmp_path} hold N"):
        saved_model.load(tmp_path)


def _save(model, path) -> None:
    saved_model.save(
        model,
        path,
        preprocessing=PREPROCESSING,
        name="small_cnn",
        trained_on_synthetic=True,
    )


def test_saving_does_not_name_the_folder_that_it_renames(caplog, tmp_path):
    module = tf.Module()
    module.answer = tf.function(lambda: tf.constant(42), input_signature=[])
    with caplog.at_level("INFO", logger="tensorflow"):
        saved_model.write(
            module,
            tmp_path / "saved",
            signatures={"answer": module.answer},
            card="",
        )
        tf.get_logger().info("and the level is back")
    assert caplog.messages == ["and the level is back"]


def test_fingerprint_tells_models_apart(model, folder):
    assert saved_model.load(folder).fingerprint == saved_model.fingerprint(
        model
    )
    other = models.make_model("small_cnn", modality="S2")
    assert saved_model.fingerprint(other) != saved_model.fingerprint(model)


def test_the_export_carries_how_bands_are_prepared(raw, tmp_path):
    preprocessing = models.preprocessing_of(
        "small_cnn", bands_60m=False, duplicate_vv=True
    )
    model = models.make_model(
        "small_cnn", fusion="early", preprocessing=preprocessing
    )
    saved_model.save(
        model,
        tmp_path / "saved_model",
        preprocessing=preprocessing,
        name="small_cnn",
        trained_on_synthetic=True,
    )
    served = saved_model.load(tmp_path / "saved_model")
    assert served.input_names == ("s1", "s2_10m", "s2_20m")
    raw = raw | {
        "s1": np.random.default_rng(1)
        .normal(-15, 5, (2, 120, 120, 2))
        .astype(np.float32)
    }
    ready = preprocessing(raw)
    np.testing.assert_allclose(
        served.serve(raw), model(ready, training=False), atol=1e-5
    )
    other_vh = raw | {"s1": raw["s1"] * np.float32([1, 2])}
    np.testing.assert_array_equal(served.serve(other_vh), served.serve(raw))


def test_weights_of_another_export_are_refused(folder, tmp_path):
    copy = shutil.copytree(folder, tmp_path / "copy")
    other = models.make_model("small_cnn", modality="S2")
    _save(other, tmp_path / "other")
    shutil.rmtree(copy / "variables")
    shutil.copytree(tmp_path / "other" / "variables", copy / "variables")
    with pytest.raises(errors.UserError, match="not those that the model was"):
        saved_model.load(copy)


def test_missing_inputs_are_named(folder, raw):
    served = saved_model.load(folder)
    with pytest.raises(ValueError, match=r"Missing: \['s2_60m'\]"):
        served.serve({k: v for k, v in raw.items() if k != "s2_60m"})


def test_missing_weights(folder, tmp_path):
    copy = shutil.copytree(folder, tmp_path / "copy")
    for path in (copy / "variables").iterdir():
        path.unlink()
    with pytest.raises(errors.UserError, match="is damaged"):
        saved_model.load(copy)


def test_a_pipe_in_place_of_weights_is_not_waited_for(folder, tmp_path):
    copy = shutil.copytree(folder, tmp_path / "copy")
    for path in (copy / "variables").iterdir():
        path.unlink()
        os.mkfifo(path)
    with pytest.raises(errors.UserError, match="no regular file"):
        saved_model.load(copy)


def describe_as(folder, change, tmp_path) -> pathlib.Path:
    """A copy of an export that says something else of itself."""
    copy = shutil.copytree(folder, tmp_path / "copy")
    message = saved_model_pb2.SavedModel()
    message.ParseFromString((copy / "saved_model.pb").read_bytes())
    for function in message.meta_graphs[0].graph_def.library.function:
        for node in function.node_def:
            for index, text in enumerate(node.attr["value"].tensor.string_val):
                if b"class_names" in text:
                    node.attr["value"].tensor.string_val[index] = change(text)
    (copy / "saved_model.pb").write_bytes(message.SerializeToString())
    return copy


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        (b"{", b"(", "malformed"),
        (b'"format":2', b'"format":1', "Invalid enum value 1"),
        (b'"modality":"S2",', b"", "missing required field `modality`"),
        (b"Pastures", b"Deserts", "unknown class names"),
        (b'"s2_10m"', b'"s3_10m"', "unknown inputs"),
        (b'"embeddings":["S2"', b'"embeddings":["S1"', "unknown embeddings"),
        (b'"S2"', b'"MM"', "it has no embed_s2"),
    ],
)
def test_descriptions_of_others_are_explained(
    folder, tmp_path, old, new, reason
):
    def change(text):
        assert old in text
        if old == b'"S2"':
            # Both sensors, and Sentinel-2 alone as well.
            text = text.replace(b'["S2"]', b'["MM","S2"]')
            return text.replace(b'"modality":"S2"', b'"modality":"MM"')
        return text.replace(old, new, 1)

    copy = describe_as(folder, change, tmp_path)
    with pytest.raises(errors.UserError, match=f"not one that .*{reason}"):
        saved_model.load(copy)


class _Answering:
    """Stands for a loaded model whose network is a function."""

    def __init__(self, network):
        self.serve = self.embed = network


def _served(served: saved_model.ServedModel, network):
    return msgspec.structs.replace(served, loaded=_Answering(network))


@pytest.mark.parametrize("ask", ["serve", "embed"])
def test_a_model_that_does_not_answer(folder, raw, ask, monkeypatch):
    """The caller goes on; what was called stays behind."""
    monkeypatch.setattr(saved_model, "ANSWER_WITHIN_S", 0.01)
    may_end = threading.Event()
    served = _served(saved_model.load(folder), lambda inputs: may_end.wait())
    with pytest.raises(errors.NoAnswerError, match=r"within 0\.01 s"):
        getattr(served, ask)(raw)
    may_end.set()


@pytest.mark.parametrize("error", [tf.errors.InternalError, KeyboardInterrupt])
def test_an_error_in_a_model_is_the_callers(folder, raw, error):
    arguments = (None, None, "x") if error is tf.errors.InternalError else ()

    def fail(inputs):
        raise error(*arguments)

    with pytest.raises(error):
        _served(saved_model.load(folder), fail).serve(raw)
