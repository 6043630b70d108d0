"""Nobody who is kept aside has been learnt from, by earlier stages or members of an ensemble."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from tumorseg_training.case import Case
from tumorseg_training.config import Part, Recipe
from tumorseg_training.datasets import Selection
from tumorseg_training.recorded_names import those_among
from TumorSegLib.errors import InputError
from TumorSegLib.model.catalogue import Catalogue
from TumorSegLib.support.words import some


def check_stages(
    recipe: Recipe, part: Part, selections: Mapping[tuple[str, str], Selection]
) -> None:
    """Refuse a part that keeps somebody aside from whom the weights it starts from have learnt.

    Args:
        recipe: whose part it is.
        part: to check.
        selections: cases of that part and of those before it, by their keys.

    Raises:
        InputError: there is such a patient.
    """
    aside = {case.patient for case in selections[part.key].validation}
    for source in recipe.sources(part):
        if seen := aside & selections[source.key].learnt:
            raise InputError(
                f"stages.{part.stage.name}: start_from {source.stage.name!r} has learnt from"
                f" {some(sorted(seen))}, kept aside here; use the same data.folds and"
                " optimisation.seed in both, or a file of folds"
            )


def check_members(
    models: Catalogue, members: Collection[str], cases: Collection[Case], fold: str
) -> None:
    """Refuse members that say that they were trained on patients whom they are to be measured on.

    Args:
        models: among which the members are.
        members: their ids.
        cases: to measure on.
        fold: that keeps these aside.

    Raises:
        InputError: there is such a patient.
        ModelError: a member is missing.
        OutputError: the key of recorded names cannot be read.
    """
    for member in members:
        trained_on = models.find(member).specification.provenance.trained_on
        if seen := those_among((case.patient for case in cases), trained_on):
            raise InputError(
                f"{member}: has learnt from {some(sorted(seen))}, whom {fold} keeps aside here;"
                " cross-validate it with these data.folds and optimisation.seed = 0, or both with a"
                " file of folds"
            )
