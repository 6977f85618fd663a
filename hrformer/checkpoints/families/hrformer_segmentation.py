"""The authors' segmentation network: the backbone and an OCR head."""

from hrformer.checkpoints.families.backbone import AUTHORS_BLOCK, backbone
from hrformer.checkpoints.families.table import Family, Rows

_CONTEXT = "ocr_distri_head.object_context_block."

HEAD: Rows = {
    "aux_head.0": "head.auxiliary.0.0",
    "aux_head.1.0": "head.auxiliary.0.1",
    "aux_head.2": "head.auxiliary.1",
    "conv3x3.0": "head.pixels.0",
    "conv3x3.1.0": "head.pixels.1",
    f"{_CONTEXT}f_pixel.0": "head.object_attention.query.0.0",
    f"{_CONTEXT}f_pixel.1.0": "head.object_attention.query.0.1",
    f"{_CONTEXT}f_pixel.2": "head.object_attention.query.1.0",
    f"{_CONTEXT}f_pixel.3.0": "head.object_attention.query.1.1",
    f"{_CONTEXT}f_object.0": "head.object_attention.key.0.0",
    f"{_CONTEXT}f_object.1.0": "head.object_attention.key.0.1",
    f"{_CONTEXT}f_object.2": "head.object_attention.key.1.0",
    f"{_CONTEXT}f_object.3.0": "head.object_attention.key.1.1",
    f"{_CONTEXT}f_down.0": "head.object_attention.value.0",
    f"{_CONTEXT}f_down.1.0": "head.object_attention.value.1",
    f"{_CONTEXT}f_up.0": "head.object_attention.output.0",
    f"{_CONTEXT}f_up.1.0": "head.object_attention.output.1",
    "ocr_distri_head.conv_bn_dropout.0": "head.merge.0",
    "ocr_distri_head.conv_bn_dropout.1.0": "head.merge.1",
    "cls_head": "head.classify",
}

HRFORMER_SEGMENTATION = Family(
    name="hrformer-seg",
    task="segmentation",
    adds_bias=True,
    rows={**backbone("backbone.", AUTHORS_BLOCK), **HEAD},
)
