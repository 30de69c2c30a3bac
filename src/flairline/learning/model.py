"""A trained model on disk: config.json, model_card.md and files of weights. No pickle is ever read."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Hashable, Mapping
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from flairline.errors import MissingExtraError, ModelError
from flairline.io.files import prepare_folder, sha256, write_bytes, write_json, write_text

FORMAT = 1
"""Version of the folder's layout. A folder of a later version is refused."""
CONFIG, CARD, SUFFIX = "config.json", "model_card.md", ".safetensors"
WEIGHTS = "weights"
"""Name of the weights where a model has but one file of them."""

Stamp = tuple[tuple[str, int, int], ...]
AMethod = TypeVar("AMethod", bound=Hashable)
Made = TypeVar("Made")


@dataclass(frozen=True)
class Source:
    """A scan that a model has seen: whose it is, the sha256 of its FLAIR's file, and that of the voxels in it."""

    dataset: str
    subject: str
    sha256: str
    voxels_sha256: str

    def plain(self) -> dict[str, str]:
        """Plain values for config.json."""
        return asdict(self)


@dataclass(frozen=True)
class ModelFolder:
    """A model folder. Nothing is read before it is asked for; what is read is checked."""

    path: Path

    def write(
        self, method: str, weights: Mapping[str, Mapping[str, Any]], config: Mapping[str, Any], card: str
    ) -> None:
        """Write the folder, each file whole or not at all, the configuration last.

        Parameters
        ----------
        method
            The method that can load it.
        weights
            Name of a file -> its tensors by name, all of torch or all of numpy (the latter need no torch). A model of
            one network has one file, `WEIGHTS`.
        config
            What `config` gives back: plain values only.
        card
            The model card, Markdown.

        Raises
        ------
        OutputError
            The folder cannot be written to.
        """
        prepare_folder(self.path)
        for name, state in weights.items():
            write_bytes(self._file(name), _packed(state))
        write_text(self.path / CARD, card)
        write_json(self.path / CONFIG, {"format": FORMAT, "method": method, **config})

    @property
    def stamp(self) -> Stamp:
        """Names, times and sizes of configuration and weights: another model in the same folder has another one."""
        paths = [self.path / CONFIG, *sorted(self.path.glob(f"*{SUFFIX}"))]
        return tuple((path.name, path.stat().st_mtime_ns, path.stat().st_size) for path in paths if path.exists())

    @property
    def sha256(self) -> str:
        """Hash of the weights, of all their files where there are several. Raises `InputError` if there are none."""
        others = [path for path in sorted(self.path.glob(f"*{SUFFIX}")) if path != self._file(WEIGHTS)]
        if not others:
            return sha256(self._file(WEIGHTS))
        hashes = [f"{path.name} {sha256(path)}" for path in sorted(self.path.glob(f"*{SUFFIX}"))]
        return hashlib.sha256("\n".join(hashes).encode()).hexdigest()

    def config(self) -> dict[str, Any]:
        """The configuration, of whatever method it is.

        Raises
        ------
        ModelError
            The folder is missing, broken, or of a newer format.
        """
        path = self.path / CONFIG
        try:
            config = json.loads(path.read_text(encoding="utf-8"))
            version = int(config["format"])
        except FileNotFoundError as error:
            msg = f"Wanted a model folder, but {self.path} has no {CONFIG}. Give the folder that `flairline fit` wrote."
            raise ModelError(msg) from error
        except (OSError, ValueError, KeyError, TypeError) as error:
            msg = f"{path} is broken or no model's configuration. Train the model again or copy it again."
            raise ModelError(msg) from error
        if version > FORMAT:
            msg = f"{self.path} has the model format {version}, this flairline reads up to {FORMAT}. Update flairline."
            raise ModelError(msg)
        return config

    def config_of(self, method: str) -> dict[str, Any]:
        """The configuration of a model of this method.

        Raises
        ------
        ModelError
            As `config`, or the model is another method's.
        """
        config = self.config()
        if config.get("method") != method:
            found = config.get("method")
            msg = f"{self.path} holds a model of {found!r}, wanted {method!r}. Use --method {found}."
            raise ModelError(msg)
        return config

    def sources(self) -> list[Source]:
        """Scans that the model was trained or validated on. Raises `ModelError` as `config` does."""
        training = self.config().get("training", {})
        scans = [*training.get("scans", ()), *training.get("validation_scans", ())]
        return [Source(**{name: str(scan.get(name, "")) for name in Source.__dataclass_fields__}) for scan in scans]

    def card(self) -> str:
        """The model card, Markdown; empty where there is none."""
        path = self.path / CARD
        return path.read_text(encoding="utf-8") if path.exists() else ""

    def tensors(self, name: str = WEIGHTS) -> dict[str, Any]:
        """A file's tensors as torch's. Raises `ModelError` if they are missing or broken."""
        try:
            from safetensors.torch import load
        except ModuleNotFoundError as error:
            raise MissingExtraError("A trained model", "deep") from error
        return self._read(name, load)

    def arrays(self, name: str = WEIGHTS) -> dict[str, NDArray[Any]]:
        """A file's tensors as numpy arrays, without torch. Raises `ModelError` as `tensors` does."""
        try:
            from safetensors.numpy import load
        except ModuleNotFoundError as error:
            raise MissingExtraError("A trained model", "deep") from error
        return self._read(name, load)

    def fill(self, network: Any, name: str = WEIGHTS) -> Any:
        """A torch network with a file's tensors in it, ready to score. Raises `ModelError` if they do not fit."""
        return fill(network, self.tensors(name), self.path)

    def _file(self, name: str) -> Path:
        return self.path / f"{name}{SUFFIX}"

    def _read(self, name: str, load: Callable[[bytes], dict[str, Any]]) -> dict[str, Any]:
        from safetensors import SafetensorError

        path = self._file(name)
        try:
            return load(path.read_bytes())
        except OSError as error:
            msg = f"Cannot read {path}: {error.strerror}. Train the model again or copy it again."
            raise ModelError(msg) from error
        except SafetensorError as error:
            msg = f"{path} is cut off or no safetensors file ({error}). Copy it again."
            raise ModelError(msg) from error


def read_once(make: Callable[[AMethod, ModelFolder], Made], method: AMethod, folder: Path) -> Made:
    """What `make` makes of a method and its model: once in each process, and anew if another model lies there."""
    model = ModelFolder(Path(folder).resolve())
    return cast(Made, _made(make, method, model, model.stamp))


@lru_cache(maxsize=8)
def _made(make: Callable[[Any, ModelFolder], Any], method: Hashable, model: ModelFolder, stamp: Stamp) -> Any:
    return make(method, model)


def fill(network: Any, state: Mapping[str, Any], folder: Path) -> Any:
    """Put tensors into a network and make it ready to score. Raises `ModelError` if they do not fit."""
    try:
        network.load_state_dict(state)
    except RuntimeError as error:
        msg = f"The weights in {folder} do not fit the network that its {CONFIG} describes. Copy both files again."
        raise ModelError(msg) from error
    return network.eval().requires_grad_(False)


def _packed(state: Mapping[str, Any]) -> bytes:
    if all(isinstance(array, np.ndarray) for array in state.values()):
        from safetensors.numpy import save

        return save({name: np.ascontiguousarray(array) for name, array in state.items()})
    from safetensors.torch import save as save_tensors

    return save_tensors({name: tensor.detach().cpu().contiguous() for name, tensor in state.items()})
