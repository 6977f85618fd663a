"""HRFormer: high-resolution pose estimation and segmentation."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hrformer.engine.predictor import Predictor, load
    from hrformer.modeling.network import Network, create_model

__version__ = "0.1.0"
__all__ = ["Network", "Predictor", "__version__", "create_model", "load"]

_LAZY = {
    "load": "hrformer.engine.predictor",
    "Predictor": "hrformer.engine.predictor",
    "create_model": "hrformer.modeling.network",
    "Network": "hrformer.modeling.network",
}


def __getattr__(name: str) -> Any:
    """Torch is imported when one of these is first asked for, not with the package."""
    if name not in _LAZY:
        raise AttributeError(f"module 'hrformer' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_LAZY[name]), name)
