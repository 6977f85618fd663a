"""How crops vary in training, as values; without torch, so that the recipes can be listed without it."""

from dataclasses import dataclass


@dataclass(frozen=True)
class PoseAugmentation:
    """How crops of people vary in training: as in arXiv:2110.09408, section 4.1, where not noted."""

    flip: float = 0.5  # probability
    scale: float = 0.5  # the crop is 1 - scale to 1 + scale times as large; standard deviation is half of it
    rotation_deg: float = 40.0  # standard deviation, cut at twice that
    rotation_probability: float = 0.6
    half_body: float = 0.3  # probability that only the upper or lower half is shown, from 8 joints on
    shift: float = 0.05  # standard deviation of the crop's centre, in crop sides; not in the paper
    colour: float = 0.3  # strength of brightness, contrast and saturation changes; not in the paper
    blur: float = 0.0  # probability of a Gaussian blur of 0.5 to 2 px; not in the paper
    erase: float = 0.3  # probability that a rectangle is blanked; not in the paper


@dataclass(frozen=True)
class MaskAugmentation:
    """How crops for segmentation vary in training (arXiv:2110.09408, section 4.2)."""

    flip: float = 0.5  # probability
    smallest: float = 0.5  # scale of the picture, drawn between the two on a logarithmic axis
    largest: float = 2.0
    aspect: float = 0.1  # width over height changes by up to this share
    rotation_deg: float = 8.0  # standard deviation; not in the paper
    colour: float = 0.4
    blur: float = 0.0  # probability of a Gaussian blur of 0.5 to 2 px; not in the paper


@dataclass(frozen=True)
class PeopleAugmentation:
    """How crops of whole photographs vary in training."""

    flip: float = 0.5  # probability
    smallest: float = 0.5  # scale, drawn between the two on a logarithmic axis; 1 is how the model is served
    largest: float = 1.4
    aspect: float = 0.1  # width over height changes by up to this share
    mosaic: float = 0.25  # share of the crops that are made of four photographs (arXiv:2004.10934)
    paste: float = 0.0  # probability that somebody of another photograph is pasted in (arXiv:2012.07177)
    colour: float = 0.3


@dataclass(frozen=True)
class ClassAugmentation:
    """How crops for classification vary in training (random resized crops, arXiv:1409.4842, section 6)."""

    flip: float = 0.5  # probability
    smallest: float = 0.2  # share of the picture's area that a crop shows, drawn from here to 1
    aspect: float = 4 / 3  # a crop is up to this many times as wide as it is high, or the other way round
    colour: float = 0.3
    blur: float = 0.0  # probability of a Gaussian blur of 0.5 to 2 px
    erase: float = 0.0  # probability that a rectangle is blanked
