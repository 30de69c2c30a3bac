"""Training that can be stopped: seeds, budget, checkpoints, resuming, best weights back. Lightning does the work."""

from __future__ import annotations

import io
import logging
import math
import pickle
import signal
import threading
import time
import warnings
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, ClassVar

import lightning
import torch
from lightning.pytorch.callbacks import Callback, EarlyStopping, ModelCheckpoint, Timer
from lightning.pytorch.loggers import TensorBoardLogger
from lightning.pytorch.plugins.io import TorchCheckpointIO
from torch.utils.data import DataLoader

from flairline.errors import FlairlineError, ModelError
from flairline.io.files import write_bytes
from flairline.learning.run import TrainingRun

CHECKPOINT_MINUTES = 5
BEST, LAST = "best.ckpt", "last.ckpt"


@dataclass(frozen=True)
class Budget:
    """How long to train: whichever ends first. The learning rate falls to zero at the end of either."""

    steps: int
    max_minutes: float = 60.0
    validate_every: int = 250
    patience: int = 1000
    """Validations without improvement before the training stops."""
    schedule: str = "cosine"
    """How the learning rate goes: "cosine" falls to zero at the end of the budget, "constant" stays."""
    best: bool = True
    """Whether the best weights on the validation set are wanted, or the last: a few scans choose badly."""


@dataclass
class Curve:
    """Validation values by step, and how long it took. `best` is NaN if there was no validation."""

    steps: list[int] = field(default_factory=list)
    values: list[float] = field(default_factory=list)
    seconds: float = 0.0
    best: float = math.nan
    last_step: int = 0


class Objective(lightning.LightningModule, ABC):
    """A network and what it is trained for. Methods subclass it and give `loss` and `validate`."""

    phases: ClassVar[tuple[float, ...]] = (1.0,)
    """Shares of the budget at which one thing is learned and the next begins; the rate falls within each anew. Only in
    the last are weights judged: before it, a network lacks what is learned there."""

    def __init__(self, network: torch.nn.Module, budget: Budget, learning_rate: float, bf16: bool = False) -> None:
        super().__init__()
        self.network, self.budget, self.learning_rate, self.bf16 = network, budget, learning_rate, bf16

    @abstractmethod
    def loss(self, batch: Any) -> torch.Tensor:
        """The value to lower."""

    @abstractmethod
    def validate(self, batch: Any) -> torch.Tensor:
        """The value to lower on held-out scans."""

    def training_step(self, batch: Any, index: int) -> torch.Tensor:
        """One step; a value that is no number ends the training with its reason."""
        loss = self.loss(batch)
        if not torch.isfinite(loss):
            msg = (
                f"The training loss became {float(loss)} at step {self.global_step}. Go on from the checkpoint before"
                " it with --resume, or begin again with another --seed."
            )
            raise ModelError(msg)
        self.log("loss", loss, prog_bar=True)
        return loss

    def validation_step(self, batch: Any, index: int) -> None:
        """Averages over the validation set."""
        value = self.validate(batch)  # of several GPUs each sees a part, and all must choose the same weights
        self.log("validation", value, prog_bar=True, on_epoch=True, batch_size=1, sync_dist=True)

    def configure_optimizers(self) -> Any:
        """AdamW; the rate warms up, then falls along a cosine to zero at the end of the budget."""
        optimizer = torch.optim.AdamW(self.parameters(), lr=self.learning_rate, weight_decay=1e-4)
        scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, self._rate)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}

    @property
    def phase(self) -> int:
        """Which of `phases` the training is in, from 0."""
        return self._phase(self.spent())

    @property
    def judged(self) -> bool:
        """Whether a validation now says which weights are best, and when to stop."""
        return self.phase == len(self.phases) - 1

    def spent(self, step: int | None = None) -> float:
        """Share of the budget, in steps or in minutes, that is spent: from 0, and 1 or more at the end.

        Of `step`, where it is given, else of the step that comes next.
        """
        done = (self.global_step if step is None else step) / self.budget.steps
        timer = self._timer()
        if timer is not None:
            done = max(done, timer.time_elapsed("train") / (60 * self.budget.max_minutes))
        return done

    def _phase(self, done: float) -> int:
        return sum(done >= end for end in self.phases[:-1])

    def _rate(self, step: int) -> float:
        done = self.spent(step)
        phase = self._phase(done)
        start, end = (0.0, *self.phases)[phase], self.phases[phase]
        within = min((done - start) / (end - start), 1.0)
        return min(1.0, (step + 1) / 50) * 0.5 * (1 + math.cos(math.pi * within)) + 1e-3

    def _timer(self) -> Timer | None:
        callbacks = () if self._trainer is None else self._trainer.callbacks  # type: ignore[attr-defined]
        return next((callback for callback in callbacks if isinstance(callback, Timer)), None)


class ManualObjective(Objective):
    """An objective that steps its optimisers itself: a GAN has one for its generator and one for its critic.

    `configure_optimizers` gives them all, `loss` steps each of `steppers()` and returns the value that is shown.
    All that is learned are parts of `network`: they are what a model folder keeps. Gradients are not clipped. It takes
    one GPU: weights that a step does not move cannot be shared out among several.
    """

    def __init__(self, network: torch.nn.Module, budget: Budget, learning_rate: float, bf16: bool = False) -> None:
        super().__init__(network, budget, learning_rate, bf16)
        self.automatic_optimization = False

    @abstractmethod
    def configure_optimizers(self) -> list[torch.optim.Optimizer]:
        """The optimisers, in the order of `steppers()`."""

    def steppers(self) -> list[Any]:
        """The optimisers to step; `loss` steps the first once a batch.

        Lightning counts the steps of every optimiser that it hands out, while a budget, a checkpoint and where a
        resumed training goes on are in batches. So it hands out the first alone.
        """
        first, *others = self._as_list(self.optimizers())
        return [first, *(other.optimizer for other in others)]

    def training_step(self, batch: Any, index: int) -> torch.Tensor:
        """One batch: a step of every optimiser, at its rate (`Budget.schedule`)."""
        for optimizer in self._as_list(self.optimizers(use_pl_optimizer=False)):
            for group in optimizer.param_groups:
                share = 1.0 if self.budget.schedule == "constant" else self._rate(self.global_step)
                group["lr"] = group.setdefault("initial_lr", group["lr"]) * share
        return super().training_step(batch, index).detach()

    @staticmethod
    def _as_list(optimizers: Any) -> list[Any]:
        return optimizers if isinstance(optimizers, list) else [optimizers]


class _Recorder(Callback):
    """Keeps the validation curve, across interruptions."""

    def __init__(self) -> None:
        self.curve = Curve()

    def on_validation_end(self, trainer: Any, pl_module: Any) -> None:
        if pl_module.judged and not trainer.sanity_checking and "validation" in trainer.callback_metrics:
            self.curve.steps.append(int(trainer.global_step))
            self.curve.values.append(float(trainer.callback_metrics["validation"]))

    def state_dict(self) -> dict[str, Any]:
        return {"steps": self.curve.steps, "values": self.curve.values}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.curve.steps, self.curve.values = list(state_dict["steps"]), list(state_dict["values"])


class _Best(ModelCheckpoint):
    """The best checkpoint of those that are judged."""

    def on_validation_end(self, trainer: Any, pl_module: Any) -> None:
        if pl_module.judged:
            super().on_validation_end(trainer, pl_module)


class _Patience(EarlyStopping):
    """Counts the validations that are judged."""

    def on_validation_end(self, trainer: Any, pl_module: Any) -> None:
        if pl_module.judged:
            super().on_validation_end(trainer, pl_module)


class _Last(ModelCheckpoint):
    """The last checkpoint. A loss that is no number leaves the one before: its weights may be none, either."""

    def on_exception(self, trainer: Any, pl_module: Any, exception: BaseException) -> None:
        if not isinstance(exception, FlairlineError):
            super().on_exception(trainer, pl_module, exception)


class _Checkpoints(TorchCheckpointIO):
    """Files that are written whole or not at all, also where the temporary folder is on another disk; no pickles."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        content = io.BytesIO()
        torch.save(checkpoint, content)
        write_bytes(Path(path), content.getvalue())

    def load_checkpoint(self, path: Any, map_location: Any = "cpu", weights_only: bool | None = True) -> dict[str, Any]:
        return _read(Path(path))


def _read(path: Path) -> dict[str, Any]:
    """A checkpoint of tensors and plain values. Raises `ModelError` if it holds anything else, or is cut off."""
    msg = f"{path} is broken or no checkpoint of a training. Begin again without --resume."
    try:
        checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, KeyError, pickle.UnpicklingError) as error:
        raise ModelError(msg) from error
    if not isinstance(checkpoint, dict) or not {"global_step", "state_dict"} <= checkpoint.keys():
        raise ModelError(msg)
    return checkpoint


@contextmanager
def _stoppable() -> Iterator[None]:
    """Ctrl+C stays Ctrl+C: Lightning makes an exit of it, and is deaf to it from then on."""
    before = signal.getsignal(signal.SIGINT)
    try:
        yield
    except SystemExit as end:
        if isinstance(end.__context__, KeyboardInterrupt):
            raise KeyboardInterrupt from end
        raise
    finally:
        if before is not None and threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGINT, before)


def _where(device: str, several: bool) -> dict[str, Any]:
    """Lightning's words for a device: "cuda" is all GPUs, or one if not `several`; "cuda:1" is the second one."""
    kind, _, number = device.partition(":")
    every = "auto" if several else 1
    return {"accelerator": kind, "devices": [int(number)] if number and kind == "cuda" else every}


def train(
    objective: Objective, training: DataLoader, validation: DataLoader, run: TrainingRun
) -> tuple[dict[str, torch.Tensor], Curve]:
    """Train, and give back the best weights on the validation set, or the last if the budget says so.

    Checkpoints go to ``run.work/checkpoints`` every five minutes, when the training is interrupted and at its end,
    whole or not at all; with `run.resume` the training goes on from the last one. They are read as tensors and plain
    values only. A resumed training wants the same loader, of all steps, that begins with what was not seen yet.

    Raises
    ------
    ModelError
        A loss that is no number, or a broken checkpoint.
    KeyboardInterrupt
        The user stopped it; `last.ckpt` is written.
    """
    checkpoints = run.work / "checkpoints"
    last = checkpoints / LAST
    if not run.resume:  # or a training that ends before its first checkpoint would go on from another one's
        for name in (BEST, LAST):
            (checkpoints / name).unlink(missing_ok=True)
    recorder, timer = _Recorder(), Timer(duration=timedelta(minutes=objective.budget.max_minutes), interval="step")
    best = _Best(checkpoints, "best", monitor="validation", save_top_k=1, enable_version_counter=False)
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    with warnings.catch_warnings(), _stoppable():
        warnings.simplefilter("ignore")
        trainer = _trainer(objective, run, [recorder, timer, best])
        started = time.monotonic()
        resumed = str(last) if run.resume and last.exists() else None
        trainer.fit(objective, training, validation, ckpt_path=resumed, weights_only=True)
        trainer.save_checkpoint(last)
        curve = recorder.curve
        curve.last_step = int(trainer.global_step)
        if curve.last_step and curve.last_step not in curve.steps:
            # The steps at the lowest rates come after the last validation on the way: the budget seldom ends with one.
            trainer.validate(objective, validation, verbose=False)
    curve.seconds = max(time.monotonic() - started, timer.time_elapsed("train"))
    state = {name: tensor.clone() for name, tensor in objective.network.state_dict().items()}
    if curve.values:
        curve.best = min((value for value in curve.values if math.isfinite(value)), default=math.nan)
    if objective.budget.best and _better(best, curve):
        stored = _read(Path(best.best_model_path))["state_dict"]
        state = {name.removeprefix("network."): t for name, t in stored.items() if name.startswith("network.")}
    return state, curve


def _trainer(objective: Objective, run: TrainingRun, callbacks: list[Callback]) -> lightning.Trainer:
    """Lightning's trainer for one training; `callbacks` come before those that keep the last and stop early."""
    last = _Last(
        run.work / "checkpoints",
        "last",
        train_time_interval=timedelta(minutes=CHECKPOINT_MINUTES),
        enable_version_counter=False,
        save_on_exception=True,
    )
    return lightning.Trainer(
        **_where(run.device, several=objective.automatic_optimization),
        max_steps=objective.budget.steps,
        callbacks=[
            *callbacks,
            last,
            _Patience("validation", patience=objective.budget.patience, check_finite=True),
        ],
        logger=TensorBoardLogger(run.work, name="logs", version=""),
        val_check_interval=objective.budget.validate_every,
        check_val_every_n_epoch=None,
        num_sanity_val_steps=0,
        enable_progress_bar=run.show_progress,
        enable_model_summary=False,
        gradient_clip_val=1.0 if objective.automatic_optimization else None,
        log_every_n_steps=20,
        plugins=[_Checkpoints()],
    )


def _better(best: ModelCheckpoint, curve: Curve) -> bool:
    """Whether the best checkpoint is there and beats the last weights, which were validated last of all."""
    if best.best_model_score is None or not best.best_model_path or not Path(best.best_model_path).exists():
        return False
    return not (curve.steps[-1] == curve.last_step and curve.values[-1] < float(best.best_model_score))


def steps_done(folder: Path) -> int:
    """Steps of the last checkpoint in a training's folder, 0 if there is none. Raises `ModelError` if it is broken."""
    last = folder / "checkpoints" / LAST
    if not last.exists():
        return 0
    return int(_read(last)["global_step"])


def has_bf16() -> bool:
    """Whether this machine multiplies bfloat16 natively, on its GPU or its CPU; elsewhere it is slower than float32."""
    if torch.cuda.is_available():
        return torch.cuda.is_bf16_supported()
    check = getattr(torch.cpu, "_is_avx512_bf16_supported", None)
    return bool(check and check())
