"""Builds the models: data sets, augmentation, the training loop, evaluation, publication."""
