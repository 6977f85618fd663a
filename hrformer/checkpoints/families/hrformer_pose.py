"""The authors' pose network. Its checkpoints hold bias tables that the network never adds."""

from hrformer.checkpoints.families.backbone import AUTHORS_BLOCK, backbone
from hrformer.checkpoints.families.table import Family

HRFORMER_POSE = Family(
    name="hrformer-pose",
    task="pose",
    adds_bias=False,
    rows={**backbone("backbone.", AUTHORS_BLOCK), "keypoint_head.final_layer": "head.heatmaps"},
)
