"""Trainings that run whole on one accelerator: data, random changes and networks in its memory."""
