"""What is known of a candidate, a component of a label inside an organ, in order."""

from __future__ import annotations

FEATURES = (
    "log_ml", "log_height", "share", "log_area", "log_depth", "elongation", "compactness",
    "mean_p", "max_p", "high_p", "near_p", "far_p", "organ_p", "low_organ_p",
    "near_in_organ", "far_in_organ", "from_organ", "median", "deviation", "low", "high",
    "dark", "black", "bright", "contrast_inside", "deviation_inside", "contrast_outside",
    "fat_outside", "bright_outside", "far_fat", "far_from_organ",
    "organ_median", "organ_deviation", "log_organ_ml", "z", "y", "x",
)  # fmt: skip
"""What the forest looks at, in order; a bundle names those that its forest was made with."""
