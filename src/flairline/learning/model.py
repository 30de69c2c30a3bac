"""A trained model on disk: weights.safetensors, config.json, model_card.md. No pickle is ever read."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flairline.errors import MissingExtraError, ModelError
from flairline.io.files import prepare_folder, write_bytes, write_json, write_text

FORMAT = 1
"""Version of the folder's layout. A folder of a later version is refused."""
WEIGHTS, CONFIG, CARD = "weights.safetensors", "config.json", "model_card.md"


def save_model(folder: Path, method: str, state: Mapping[str, Any], config: Mapping[str, Any], card: str) -> None:
    """Write a model folder, each file whole or not at all, the configuration last.

    Parameters
    ----------
    folder
        Made if missing.
    method
        The method that can load it.
    state
        Tensors by name, all of torch or all of numpy (the latter need no torch).
    config
        What `load_model` gives back: plain values only.
    card
        The model card, Markdown.

    Raises
    ------
    OutputError
        The folder cannot be written to.
    """
    prepare_folder(folder)
    write_bytes(folder / WEIGHTS, _packed(state))
    write_text(folder / CARD, card)
    write_json(folder / CONFIG, {"format": FORMAT, "method": method, **config})


def model_stamp(folder: Path) -> tuple[tuple[int, int], ...]:
    """Time and size of a model folder's files: another model in the same folder has another one."""
    paths = (folder / WEIGHTS, folder / CONFIG)
    return tuple((path.stat().st_mtime_ns, path.stat().st_size) for path in paths if path.exists())


def load_config(folder: Path, method: str) -> dict[str, Any]:
    """Read a model folder's configuration.

    Raises
    ------
    ModelError
        The folder is missing, broken, of another method, or of a newer format.
    """
    config = load_any_config(folder)
    if config.get("method") != method:
        found = config.get("method")
        msg = f"{folder} holds a model of {found!r}, wanted {method!r}. Use --method {found}."
        raise ModelError(msg)
    return config


def load_any_config(folder: Path) -> dict[str, Any]:
    """Read a model folder's configuration, of whatever method it is.

    Raises
    ------
    ModelError
        The folder is missing, broken, or of a newer format.
    """
    path = folder / CONFIG
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
        version = int(config["format"])
    except FileNotFoundError as error:
        msg = f"Wanted a model folder, but {folder} has no {CONFIG}. Give the folder that `flairline fit` wrote."
        raise ModelError(msg) from error
    except (OSError, ValueError, KeyError, TypeError) as error:
        msg = f"{path} is broken or no model's configuration. Train the model again or copy it again."
        raise ModelError(msg) from error
    if version > FORMAT:
        msg = f"{folder} has the model format {version}, this flairline reads up to {FORMAT}. Update flairline."
        raise ModelError(msg)
    return config


def load_weights(folder: Path) -> dict[str, Any]:
    """Read a model folder's tensors. Raises `ModelError` if they are missing or broken."""
    try:
        from safetensors.torch import load
    except ModuleNotFoundError as error:
        raise MissingExtraError("A trained model", "deep") from error
    return _read_weights(folder, load)


def load_arrays(folder: Path) -> dict[str, NDArray[Any]]:
    """Read a model folder's tensors as numpy arrays, without torch. Raises `ModelError` as `load_weights` does."""
    try:
        from safetensors.numpy import load
    except ModuleNotFoundError as error:
        raise MissingExtraError("A trained model", "deep") from error
    return _read_weights(folder, load)


def _packed(state: Mapping[str, Any]) -> bytes:
    if all(isinstance(array, np.ndarray) for array in state.values()):
        from safetensors.numpy import save

        return save({name: np.ascontiguousarray(array) for name, array in state.items()})
    from safetensors.torch import save as save_tensors

    return save_tensors({name: tensor.detach().cpu().contiguous() for name, tensor in state.items()})


def _read_weights(folder: Path, load: Callable[[bytes], dict[str, Any]]) -> dict[str, Any]:
    from safetensors import SafetensorError

    path = folder / WEIGHTS
    try:
        return load(path.read_bytes())
    except OSError as error:
        msg = f"Cannot read {path}: {error.strerror}. Train the model again or copy it again."
        raise ModelError(msg) from error
    except SafetensorError as error:
        msg = f"{path} is cut off or no safetensors file ({error}). Copy it again."
        raise ModelError(msg) from error


def fill(network: Any, state: Mapping[str, Any], folder: Path) -> Any:
    """Put tensors into a network and make it ready to score. Raises `ModelError` if they do not fit."""
    try:
        network.load_state_dict(state)
    except RuntimeError as error:
        msg = f"The weights in {folder} do not fit the network that its {CONFIG} describes. Copy both files again."
        raise ModelError(msg) from error
    return network.eval().requires_grad_(False)
