"""Where and how precisely a network runs."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn

from hrformer.checkpoints.manifest import PixelFormat
from hrformer.engine.allocator import give_freed_memory_back, keep_freed_memory
from hrformer.engine.folding import folded
from hrformer.engine.fusing import can_fuse, fused
from hrformer.engine.recording import record
from hrformer.engine.side_by_side import run_in_parts
from hrformer.modeling.network import Network

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


def choose_device(name: str = "auto") -> torch.device:
    """The device of this name; "auto" takes the first GPU, else the CPU.

    raises: ValueError if the name is unknown or there is no such device.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise ValueError(f"there is no device {name!r}; give auto, cpu, cuda or cuda:0") from error
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise ValueError(
            f"there is no device {name!r}: torch sees {torch.cuda.device_count()} GPUs; give auto or cpu"
        )
    return device


def choose_precision(name: str, device: torch.device) -> torch.dtype:
    """The type that convolutions and products run in; "auto" is bfloat16 on a GPU and float32 on a CPU.

    raises: ValueError if the name is unknown, or is float16 on a CPU.
    """
    if name == "auto":
        return torch.bfloat16 if device.type == "cuda" else torch.float32
    if name not in DTYPES:
        raise ValueError(f"there is no precision {name!r}; give auto, {', '.join(DTYPES)}")
    if name == "float16" and device.type == "cpu":
        raise ValueError("float16 needs a GPU; on a CPU give auto, float32 or bfloat16")
    return DTYPES[name]


def has_fast_bfloat16(device: torch.device) -> bool:
    """Whether bfloat16 is faster there than float32: on GPUs, and on CPUs with AVX512-BF16 or AMX."""
    if device.type != "cpu":
        return True
    capabilities = torch.cpu.get_capabilities()
    return bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))


def set_threads(threads: int | None) -> None:
    """Lets torch use so many threads of the CPU, in the whole process; None leaves its choice.

    raises: ValueError if there are none.
    """
    if threads is None:
        return
    if threads < 1:
        raise ValueError(f"threads is {threads}; expected 1 or more")
    torch.set_num_threads(threads)


def channels_last(network: Network) -> Network:
    """The network, its kernels laid out as convolutions are fastest."""
    return network.to(memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]


class Recordable:
    """An engine whose network runs on a `Runner`."""

    runner: "Runner"

    def record(self, height: int, width: int) -> None:
        """Makes pictures of this size faster from now on, as `Runner.record` does."""
        self.runner.record(height, width)


class Runner:
    """A network in evaluation mode on its device: uint8 pictures in, float32 outputs there.

    outputs: makes of the network what is run, where that is not its `forward`.
    """

    def __init__(
        self,
        network: Network,
        pixels: PixelFormat,
        *,
        device: str = "auto",
        precision: str = "auto",
        outputs: Callable[[Network], nn.Module] = lambda network: network,
    ) -> None:
        self.device = choose_device(device)
        if self.device.type == "cpu":
            keep_freed_memory()
        self.dtype = choose_precision(precision, self.device)
        ready = channels_last(folded(network).to(self.device))
        if can_fuse(self.device, self.dtype):
            fused(ready)
        self._module = outputs(ready).eval()
        self._recordings: dict[tuple[int, ...], Callable[[Tensor], Any]] = {}  # by (height, width)
        self.reverse_channels = pixels.order == "bgr"
        self.mean = torch.tensor(pixels.mean, device=self.device).view(3, 1, 1)
        self.std = torch.tensor(pixels.std, device=self.device).view(3, 1, 1)

    @property
    def precision(self) -> str:
        return str(self.dtype).removeprefix("torch.")

    def normalise(self, pictures: Tensor) -> Tensor:
        """What the network reads, of `(n, 3, height, width)` RGB pictures: uint8, or float32 in 0..1."""
        pictures = pictures.to(self.device, non_blocking=True)
        scaled = pictures.float() / 255 if pictures.dtype == torch.uint8 else pictures
        if self.reverse_channels:
            scaled = scaled.flip(1)
        return ((scaled - self.mean) / self.std).contiguous(memory_format=torch.channels_last)

    def autocast(self) -> AbstractContextManager[object]:
        if self.dtype == torch.float32:
            return nullcontext()
        return torch.autocast(self.device.type, dtype=self.dtype)

    def outputs(self, inputs: Tensor) -> Any:
        """The network's outputs for what `normalise` gives, in float32 or the type of the products."""
        recording = self._recordings.get(tuple(inputs.shape[2:]))
        if recording is not None:
            return recording(inputs)  # it has the conversions of `autocast` in it
        with self.autocast():
            return self._module(inputs)

    def record(self, height: int, width: int) -> None:
        """From now on, inputs of this size are run from a recording: faster, with the same outputs.

        Takes seconds, and some 110 MB that stay; may be called while others run. On a CPU; elsewhere nothing
        changes.
        """
        if self.device.type != "cpu" or (height, width) in self._recordings:
            return
        example = self.normalise(torch.zeros(2, 3, height, width, dtype=torch.uint8))
        with torch.inference_mode(), self.autocast():
            recording = record(self._module, example)
        self._recordings[height, width] = recording
        give_freed_memory_back()  # all that the network computed was held until its end

    def run(self, run: Callable[[Tensor], Tensor], batch: Tensor) -> Tensor:
        """What `run(batch)` gives, in inference mode; on a CPU perhaps in parts, side by side."""
        if self.device.type == "cpu":
            is_recorded = tuple(batch.shape[2:]) in self._recordings
            return run_in_parts(run, batch, needs_python=not is_recorded)
        with torch.inference_mode():
            return run(batch)
