"""Which model is meant for the cases of a cohort, and the checksum by which a change is noticed."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from TumorSegLib.errors import ModelError
from TumorSegLib.model.bundle import Bundle
from TumorSegLib.model.catalogue import Catalogue
from TumorSegLib.model.checksum import digest, model_checksum

MODALITIES = ("CT", "MR")


@dataclass(frozen=True)
class Models:
    """The models of a run.

    Attributes:
        catalogue: of all models.
        named: the one that the user asked for all cases; None: each gets the default for what it
            is.
    """

    catalogue: Catalogue
    named: Bundle | None = None

    def absolute(self) -> Models:
        """Return the models for a process that works in another folder."""
        named = None if self.named is None else self.named.absolute()
        return Models(self.catalogue.absolute(), named)

    @cached_property
    def by_modality(self) -> dict[str, Bundle]:
        """The model for each modality that there is one for."""
        if self.named is not None:
            return {self.named.specification.modality: self.named}
        found = {}
        for modality in MODALITIES:
            try:
                found[modality] = self.catalogue.default_for(modality)
            except ModelError:
                continue
        return found

    def checksum(self, model: str | None, modality: str | None) -> str:
        """Return what changes when another model would segment a case.

        Args:
            model: that the case names.
            modality: of the case, where it is known.

        Raises:
            ModelError: there is no such model.
        """
        if model is not None:
            bundles = [self.catalogue.find(model)]
        elif modality in self.by_modality:
            bundles = [self.by_modality[modality]]
        else:
            bundles = list(self.by_modality.values())
        return digest([model_checksum(bundle, self.catalogue) for bundle in bundles])
