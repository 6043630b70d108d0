"""Digital phantoms: realistic volumes of nobody, for the demonstration, tests and pictures."""

from TumorSegLib.phantom.abdomen import abdomen_phantom
from TumorSegLib.phantom.brain import brain_phantom

__all__ = ["abdomen_phantom", "brain_phantom"]
