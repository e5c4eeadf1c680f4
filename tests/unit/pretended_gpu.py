"""A CUDA device made of CPU memory: the engine and the networks run "on the GPU" without one.

    with pretended_gpu() as machine: ...   # torch.cuda.is_available() is true
    machine.waits                          # {(what, where): times} the host waited for the device

A tensor there is a wrapper of device "cuda:0" around a CPU tensor that holds its values. So torch
takes its CUDA decisions itself (autocast's lists, fused optimisers, decompositions under
determinism), and the values are real. What CUDA refuses is refused: operations between devices,
BCE of probabilities under autocast, NCCL on CPU tensors. Waits are counted by the line of the
project that asks for them. Not seen: what CUDA kernels compute, how fast, and real NCCL.

Needs a CPU build of torch on Linux (`reason()` says why not, else None).
"""

import collections
import contextlib
import ctypes
import traceback
from collections.abc import Iterator
from pathlib import Path

import torch
import torch.distributed as dist
from torch.utils._mode_utils import no_dispatch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten, tree_map

import skyloom

CUDA = torch.device("cuda", 0)
PACKAGE = str(Path(skyloom.__file__).parent)
aten = torch.ops.aten
TRANSFERS = {aten._to_copy.default, aten.copy_.default}
WAITING = {  # results whose size or value the host needs
    aten._local_scalar_dense.default: "item",
    aten.equal.default: "equal",
    aten.nonzero.default: "nonzero",
    aten.masked_select.default: "masked_select",
    aten._unique2.default: "unique",
    aten.repeat_interleave.Tensor: "repeat_interleave",
}
# kernels that add with atomics: torch.use_deterministic_algorithms names them
UNORDERED = {
    aten.reflection_pad1d_backward.default,
    aten.reflection_pad2d_backward.default,
    aten.replication_pad2d_backward.default,
    aten.upsample_bilinear2d_backward.default,
    aten.adaptive_max_pool2d_backward.default,
    aten.grid_sampler_2d_backward.default,
    aten.histc.default,
    aten.bincount.default,
    aten.median.dim,
    aten.kthvalue.default,
    aten.cumsum.default,
}
INDEXING = {
    aten.index.Tensor,
    aten.index_put.default,
    aten.index_put_.default,
    aten._index_put_impl_.default,
}
# these have a CUDA kernel of their own; a CPU build would take them apart before they come here
KERNELS = ("silu_backward", "mish_backward", "native_channel_shuffle")
GUARDS = "_ZN3c104impl26device_guard_impl_registryE"  # c10::impl::device_guard_impl_registry
HOOKS = "_ZN2at6detail12getCUDAHooksEv"  # at::detail::getCUDAHooks()


class OnGpu(torch.Tensor):
    """A tensor that says it is on CUDA; `held` has its values."""

    @staticmethod
    def __new__(cls, held: torch.Tensor):
        self = torch.Tensor._make_wrapper_subclass(
            cls,
            held.size(),
            strides=held.stride(),
            storage_offset=held.storage_offset(),
            dtype=held.dtype,
            layout=held.layout,
            device=CUDA,
            requires_grad=False,
        )
        self.held = held
        return self

    @classmethod
    def __torch_dispatch__(cls, func, types, args=(), kwargs=None):
        return _run(func, args, kwargs or {})

    def __repr__(self, **_):
        return f"OnGpu({self.held!r})"

    def __reduce_ex__(self, protocol):  # as torch.load(map_location="cpu") gives it back
        return self.held.detach().__reduce_ex__(protocol)

    def __getitem__(self, index):
        """Lists of numbers become index tensors on the device: a blocking copy each."""
        parts = index if isinstance(index, tuple) else (index,)
        if not any(isinstance(part, list | tuple) for part in parts):
            return super().__getitem__(index)
        moved = lambda part: torch.tensor(part, device=CUDA)  # noqa: E731
        return super().__getitem__(
            tuple(moved(part) if isinstance(part, list | tuple) else part for part in parts)
        )

    def new_tensor(self, data, **options):
        _wait("to the GPU")
        return OnGpu(self.held.new_tensor(data, **options))

    def tolist(self):
        _wait("tolist")
        return self.held.tolist()

    def numpy(self, **_):
        raise TypeError("can't convert cuda:0 device type tensor to numpy. Use Tensor.cpu() first.")

    def __array__(self, *_):
        return self.numpy()


class Machine(TorchDispatchMode):
    """Sees factories (`device="cuda"`), which have no tensor to dispatch on, and keeps count."""

    current: "Machine | None" = None

    def __init__(self):
        super().__init__()
        self.waits: collections.Counter = collections.Counter()
        self.unordered: collections.Counter = collections.Counter()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        return _run(func, args, kwargs or {})


@contextlib.contextmanager
def pretended_gpu(free_bytes: int = 1 << 40) -> Iterator[Machine]:
    """Within it there is one GPU with `free_bytes` of free memory."""
    register()
    fakes = {
        (torch.cuda, "is_available"): lambda: True,
        (torch.cuda, "_lazy_init"): lambda: None,
        (torch.cuda, "device_count"): lambda: 1,
        (torch.cuda, "set_device"): lambda device: None,
        (torch.cuda, "current_device"): lambda: 0,
        (torch.cuda, "manual_seed"): lambda seed: None,
        (torch.cuda, "is_bf16_supported"): lambda *args, **options: True,
        (torch.cuda, "mem_get_info"): lambda device=None: (free_bytes, free_bytes),
        (torch.cuda, "get_device_name"): lambda device=None: "pretended",
        (torch.cuda, "get_device_capability"): lambda device=None: (8, 0),
        (torch.cuda, "is_current_stream_capturing"): lambda: False,
        (torch.cuda.amp.common, "amp_definitely_not_available"): lambda: False,
        (torch.Tensor, "pin_memory"): _pinned,
        (torch, "tensor"): _moved(torch.tensor),
        (torch, "as_tensor"): _moved(torch.as_tensor),
        (dist, "init_process_group"): _gloo_for_nccl(dist.init_process_group),
        (dist, "all_reduce"): _on_held(dist.all_reduce),
        (dist, "all_gather"): _on_held(dist.all_gather),
        (dist, "broadcast"): _on_held(dist.broadcast),
    }
    before = {key: getattr(*key) for key in fakes}
    overwrite = torch.__future__.get_overwrite_module_params_on_conversion()
    try:
        for (owner, name), fake in fakes.items():
            setattr(owner, name, fake)
        torch.__future__.set_overwrite_module_params_on_conversion(True)
        with Machine() as machine:
            Machine.current = machine
            yield machine
    finally:
        Machine.current = None
        torch.__future__.set_overwrite_module_params_on_conversion(overwrite)
        torch.use_deterministic_algorithms(False)
        for (owner, name), value in before.items():
            setattr(owner, name, value)


# --- what runs where ------------------------------------------------------------------------------


def _run(func, args, kwargs):
    """One operation: where it runs, whether CUDA would refuse it, whether the host waits."""
    flat, _ = tree_flatten((args, kwargs))
    tensors = [x for x in flat if isinstance(x, torch.Tensor)]
    there = [x for x in tensors if isinstance(x, OnGpu)]
    here = [x for x in tensors if not isinstance(x, OnGpu)]
    target = kwargs.get("device")
    on_gpu = bool(there) or _is_cuda(target)
    if func in TRANSFERS:
        on_gpu = _transfer(func, args, kwargs, target)
    elif there and here:
        _refuse_mixed(func, args, there, here)
    if not on_gpu and not there:
        return func(*args, **kwargs)
    _count(func, args)

    wrapper_of = {id(x.held): x for x in there}
    args, kwargs = tree_map(lambda x: x.held if isinstance(x, OnGpu) else x, (args, kwargs))
    if _is_cuda(target):
        kwargs = kwargs | {"device": torch.device("cpu")}
    if kwargs.get("pin_memory"):
        kwargs = kwargs | {"pin_memory": False}
    out = func(*args, **kwargs)
    if torch.Tag.inplace_view in func.tags:  # the wrapper's shape follows; nothing is computed
        with no_dispatch():
            return func(there[0], *args[1:], **kwargs)
    if not on_gpu:
        return out
    for x in tree_flatten(out)[0]:
        if type(x) is torch.Tensor and id(x) not in wrapper_of:
            wrapper_of[id(x)] = OnGpu(x)
    return tree_map(lambda x: wrapper_of.get(id(x), x), out)


def _count(func, args) -> None:
    machine = Machine.current
    if func in WAITING:
        _wait(WAITING[func])
    if func in INDEXING and any(
        x is not None and x.dtype == torch.bool and isinstance(x, OnGpu) for x in args[1]
    ):
        _wait("boolean index")
    accumulates = func in INDEXING and len(args) > 3 and args[3]
    if machine is not None and (func in UNORDERED or accumulates):
        machine.unordered[str(func), _place()] += 1


def _transfer(func, args, kwargs, target) -> bool:
    """Whether the result is on the GPU; a blocking copy between devices makes the host wait."""
    in_place = func is aten.copy_.default
    values = args[1] if in_place else args[0]
    source = isinstance(values, OnGpu)
    if in_place:
        to = isinstance(args[0], OnGpu)
        asynchronous = len(args) > 2 and args[2] or kwargs.get("non_blocking", False)
    else:
        to = _is_cuda(target) if target is not None else source
        asynchronous = kwargs.get("non_blocking", False)
    if to != source and not asynchronous:
        _wait("to the GPU" if to else "to the CPU")
    elif to != source and not getattr(values, "pinned", False):
        _wait("to the GPU from pageable memory" if to else "to pageable memory")
    return to


def _refuse_mixed(func, args, there, here) -> None:
    """Refuse what CUDA refuses: operands on two devices, but for CPU scalars and CPU indices."""
    if func in INDEXING:
        indices = {id(x) for x in args[1] if x is not None}
        if isinstance(args[0], OnGpu) and all(id(x) in indices or x.dim() == 0 for x in here):
            if any(x.dim() for x in here):
                _wait("CPU index of a GPU tensor")
            return
        raise RuntimeError("indices should be either on cpu or on the same device as the tensor")
    name = func.__name__.split(".")[0]
    elementwise = torch.Tag.pointwise in func.tags or name in ("fill_", "where", "masked_fill_")
    if elementwise and all(x.dim() == 0 for x in here):
        return
    raise RuntimeError(
        "Expected all tensors to be on the same device, but found at least two, cuda:0 and cpu!"
        f" ({func})"
    )


def _place() -> str:
    """The innermost line of the project on the stack."""
    for frame in reversed(traceback.extract_stack()):
        if frame.filename.startswith(PACKAGE):
            return f"{Path(frame.filename).name}:{frame.lineno}"
    return "?"


def _is_cuda(device) -> bool:
    return device is not None and torch.device(device).type == "cuda"


def _wait(what: str) -> None:
    if Machine.current is not None:
        Machine.current.waits[what, _place()] += 1


# --- what stands for torch's own ------------------------------------------------------------------


def _moved(make):
    """torch.tensor and its like build on the CPU and copy, beyond the reach of a dispatch mode."""

    def call(data, *args, device=None, **options):
        if isinstance(data, OnGpu) or not _is_cuda(device):
            return make(data, *args, device=device, **options)
        _wait("to the GPU")
        return OnGpu(make(data, *args, **options))

    return call


def _pinned(tensor):
    tensor = tensor.clone()
    tensor.pinned = True
    return tensor


def _gloo_for_nccl(init):
    def start(backend=None, **options):
        assert backend == "nccl", f"on GPUs the backend should be nccl, not {backend}"
        return init("gloo", **options)

    return start


def _on_held(collective):
    def call(*args, **kwargs):
        tensors = [x for x in tree_flatten((args, kwargs))[0] if isinstance(x, torch.Tensor)]
        if any(not isinstance(x, OnGpu) for x in tensors):
            raise RuntimeError("No backend type associated with device type cpu")  # NCCL's words
        if any(not x.is_contiguous() for x in tensors):
            raise ValueError("Tensors must be contiguous")
        held = tree_map(lambda x: x.held if isinstance(x, OnGpu) else x, args)
        return collective(*held, **kwargs)

    return call


# --- a CPU build that knows the device type -------------------------------------------------------

_KEPT: list = []  # what C++ points at must not be collected


def reason() -> str | None:
    """Why there can be no pretended GPU here; None where there can."""
    if torch.version.cuda:
        return "a CUDA build of torch is installed; the pretended GPU needs a CPU build"
    libraries = Path(torch.__file__).parent / "lib"
    try:
        core, cpu = (ctypes.CDLL(libraries / name) for name in ("libc10.so", "libtorch_cpu.so"))
        (ctypes.c_void_p * 2).in_dll(core, GUARDS)
        getattr(cpu, HOOKS)
    except (OSError, AttributeError, ValueError) as error:
        return f"torch's libraries cannot be told of a GPU: {error}"
    return None


def register() -> None:
    """Let a CPU build of torch know the device type CUDA, once in a process.

    Call it before the first backward pass, in which autograd counts the devices. The guard is
    torch's own no-op, which `ensureCUDADeviceGuardSet` puts in the place of one that has no device.
    Of the hooks the first virtual functions behind two destructors become true: isBuilt, for
    autograd asks for streams, and hasPrimaryContext.
    """
    if _KEPT:
        return
    libraries = Path(torch.__file__).parent / "lib"
    core, cpu = (ctypes.CDLL(libraries / name) for name in ("libc10.so", "libtorch_cpu.so"))
    no, yes = (ctypes.CFUNCTYPE(ctypes.c_int)(lambda value=value: value) for value in (0, 1))
    table = (ctypes.c_void_p * 64)(*[ctypes.cast(no, ctypes.c_void_p).value] * 64)
    guard = (ctypes.c_void_p * 1)(ctypes.addressof(table))
    (ctypes.c_void_p * 2).in_dll(core, GUARDS)[1] = ctypes.addressof(guard)
    torch._C._ensureCUDADeviceGuardSet()
    hooks_of = getattr(cpu, HOOKS)
    hooks_of.restype = ctypes.c_void_p
    hooks = (ctypes.c_void_p * 1).from_address(hooks_of())
    virtual = (ctypes.c_void_p * 56)(*(ctypes.c_void_p * 56).from_address(hooks[0]))
    virtual[2] = virtual[4] = ctypes.cast(yes, ctypes.c_void_p).value
    hooks[0] = ctypes.addressof(virtual)
    kernels = torch.library.Library("aten", "IMPL")
    for name in KERNELS:
        kernels.impl(name, lambda *args, **options: None, "CUDA")
    _KEPT.extend([no, yes, table, guard, virtual, kernels])
