"""OKS, suppression by it, rescoring."""

from collections.abc import Iterator, Sequence

import numpy as np
import torch

from hrformer.checkpoints.check import Check
from hrformer.evaluation.parity.compare import Arrays, compare, holds, matching, tensor
from hrformer.geometry.similarity import oks_nms, pairwise_oks, rescore, soft_oks_nms

OKS = 1e-5
NUMBER = r"(\d*\.?\d+)"


def oks_checks(arrays: Arrays) -> Iterator[Check]:
    """`oks.*` and `rescore.*`; lists of indices by the number of places that differ."""
    if not holds(arrays, "oks.keypoints", "oks.areas"):
        return
    keypoints, areas = tensor(arrays, "oks.keypoints"), tensor(arrays, "oks.areas")
    sigmas = tensor(arrays, "oks.sigmas") if "oks.sigmas" in arrays else None
    alike = pairwise_oks(keypoints, areas, sigmas=sigmas)
    yield from compare(arrays, "oks.iou_matrix", alike, OKS)
    yield from compare(arrays, "oks.iou_of_first", alike[0], OKS)
    for name, match in matching(arrays, rf"oks\.iou_of_first_vis_thr_{NUMBER}"):
        counted = pairwise_oks(keypoints, areas, sigmas=sigmas, keypoint_threshold=float(match[1]))
        yield from compare(arrays, name, counted[0], OKS)
    if "oks.scores" in arrays:
        yield from _suppression_checks(arrays)
    if holds(arrays, "rescore.box_scores", "rescore.vis_thr"):
        threshold = float(arrays["rescore.vis_thr"])
        pairs = zip(keypoints[..., 2].tolist(), tensor(arrays, "rescore.box_scores").tolist(), strict=True)
        scores = torch.tensor([rescore(joints, box_score, threshold) for joints, box_score in pairs])
        yield from compare(arrays, "rescore.scores", scores, 1e-6)


def _suppression_checks(arrays: Arrays) -> Iterator[Check]:
    keypoints, areas, scores = (tensor(arrays, f"oks.{what}") for what in ("keypoints", "areas", "scores"))
    sigmas = tensor(arrays, "oks.sigmas") if "oks.sigmas" in arrays else None
    for name, match in matching(arrays, rf"oks\.nms_keep_{NUMBER}"):
        kept = oks_nms(keypoints, scores, areas, float(match[1]), sigmas=sigmas)
        yield Check(name, _places_that_differ(kept, arrays[name].tolist()), 0)
    for name, match in matching(arrays, rf"oks\.soft_nms_keep_{NUMBER}"):
        kept, _ = soft_oks_nms(keypoints, scores, areas, float(match[1]), sigmas=sigmas)
        yield Check(name, _places_that_differ(kept, arrays[name].tolist()), 0)


def _places_that_differ(ours: Sequence[int], expected: Sequence[int]) -> float:
    common = min(len(ours), len(expected))
    differing = int(np.count_nonzero(np.asarray(ours[:common]) != np.asarray(expected[:common])))
    return float(differing + max(len(ours), len(expected)) - common)
