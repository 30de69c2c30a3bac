"""Networks, synthesis, training and scoring that several learned methods share. Everything here may import torch."""
