"""What the licences of model weights allow, in a line each. Our reading, no legal advice."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from TumorSegLib.model.bundle import Bundle


@dataclass(frozen=True)
class Licence:
    """A licence of weights.

    Attributes:
        name: as models state it.
        url: of the text, "" if not known.
        use: what it asks of whoever uses the weights.
        retraining: what it says of weights that were trained on from these.
    """

    name: str
    url: str = ""
    use: str = "Read the model's card for what it allows."
    retraining: str = "Read its text before you pass retrained weights on."


_NON_COMMERCIAL = "Not for commercial purposes; name the authors of the data."
_LICENCES = (
    Licence(
        "CC BY-NC-SA 4.0",
        "https://creativecommons.org/licenses/by-nc-sa/4.0/",
        f"{_NON_COMMERCIAL} What you make from the weights and pass on has the same licence.",
        "Retrained weights may be passed on under the same licence only.",
    ),
    Licence(
        "CC BY-NC-ND 4.0",
        "https://creativecommons.org/licenses/by-nc-nd/4.0/",
        f"{_NON_COMMERCIAL} Changed weights must not be passed on (no derivatives).",
        "No derivatives: retrained weights are for your own use and must not be passed on.",
    ),
    Licence(
        "CC BY-NC-ND 3.0",
        "https://creativecommons.org/licenses/by-nc-nd/3.0/",
        f"{_NON_COMMERCIAL} It gives no right to change the weights (no derivatives).",
        "No derivatives: this version gives no right to make retrained weights; ask the holders"
        " of the data first, and do not pass any on.",
    ),
)


def licence_of(name: str) -> Licence:
    """Return what is known of a licence that a model states."""
    return next((licence for licence in _LICENCES if licence.name == name), Licence(name))


def licences_of(bundles: Iterable[Bundle]) -> list[Licence]:
    """Return the licences that models state, each once, in the models' order."""
    names = (bundle.specification.licence for bundle in bundles)
    return [licence_of(name) for name in dict.fromkeys(names) if name]
