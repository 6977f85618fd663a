"""HRFormer in mmpose 1.x: one matrix for query, key and value, and the bias added."""

from hrformer.checkpoints.families.backbone import MMPOSE_BLOCK, backbone
from hrformer.checkpoints.families.table import Family

MMPOSE = Family(
    name="mmpose-1.x",
    task="pose",
    adds_bias=True,
    rows={**backbone("backbone.", MMPOSE_BLOCK), "head.final_layer": "head.heatmaps"},
    aliases={"keypoint_head.": "head."},  # files from before 1.0, which mmpose 1.x renames in the same way
)
