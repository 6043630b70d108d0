"""Training of the classifier that tells what an image is: see `__main__`."""
