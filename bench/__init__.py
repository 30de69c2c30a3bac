"""Speed and memory, each as a ratio against the published recipe or a peer in one run."""
