"""One model folder for all methods: what is written is read, and read anew when another model lies there."""

import json
import os

import numpy as np
import pytest

from flairline.errors import InputError, ModelError
from flairline.learning.model import ModelFolder, Source, read_once

pytest.importorskip("safetensors")
WEIGHTS = {"weights": {"a": np.arange(6, dtype=np.float32).reshape(2, 3)}}
SOURCE = Source("set", "s1", "11", "22")


def written(folder, weights=WEIGHTS, **config):
    model = ModelFolder(folder)
    model.write("theirs", weights, config, "# card\n")
    return model


def test_what_is_written_is_read(tmp_path):
    scans = {"scans": [SOURCE.plain()], "validation_scans": [{"dataset": "set", "subject": "s2", "more": 1}]}
    model = written(tmp_path / "m", training=scans, size=3)
    assert model.config()["size"] == 3 and model.config_of("theirs")["format"] == 1 and model.card() == "# card\n"
    np.testing.assert_array_equal(model.arrays()["a"], WEIGHTS["weights"]["a"])
    assert model.sources() == [SOURCE, Source("set", "s2", "", "")]
    with pytest.raises(ModelError, match=r"holds a model of 'theirs', wanted 'other'\. Use --method theirs"):
        model.config_of("other")


def test_a_model_of_several_networks_has_a_file_for_each(tmp_path):
    """A GAN's generator and critic, a VQ-VAE and its transformer."""
    both = {"generator": {"g": np.ones(3, np.float32)}, "critic": {"c": np.zeros(2, np.float32)}}
    model = written(tmp_path / "m", both)
    assert sorted(path.name for path in model.path.glob("*.safetensors")) == [
        "critic.safetensors",
        "generator.safetensors",
    ]
    assert list(model.arrays("generator")) == ["g"] and list(model.arrays("critic")) == ["c"]
    before, hashed = model.stamp, model.sha256
    written(tmp_path / "m", {**both, "critic": {"c": np.zeros(3, np.float32)}})
    assert model.stamp != before and model.sha256 != hashed
    with pytest.raises(ModelError, match=r"Cannot read .*weights\.safetensors"):
        model.arrays()


def test_the_hash_of_one_file_is_that_files(tmp_path):
    import hashlib

    model = written(tmp_path / "m")
    assert model.sha256 == hashlib.sha256((model.path / "weights.safetensors").read_bytes()).hexdigest()
    with pytest.raises(InputError):
        assert ModelFolder(tmp_path / "nothing").sha256


def test_a_model_is_read_once_and_once_more_when_another_lies_there(tmp_path):
    read = []

    def make(method, model):
        read.append(method)
        return model.arrays()["a"]

    model = written(tmp_path / "m")
    first = read_once(make, "one", model.path)
    assert read_once(make, "one", model.path) is first and read == ["one"]
    read_once(make, "two", model.path)
    assert read == ["one", "two"], "another method has another scorer"
    written(tmp_path / "m", {"weights": {"a": np.zeros((2, 3), np.float32)}})
    os.utime(model.path / "config.json", ns=(1, 1))  # whatever the clock's steps are
    assert not read_once(make, "one", model.path).any() and len(read) == 3


def test_a_config_that_is_none_gets_one_line(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps([1]))
    with pytest.raises(ModelError, match=r"config\.json is broken"):
        ModelFolder(tmp_path).config()
    assert ModelFolder(tmp_path).card() == ""
