"""What people would otherwise run, each as a command of its own: files in, label map out."""
