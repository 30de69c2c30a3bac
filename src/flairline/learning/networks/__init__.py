"""Networks, and nothing that trains them: autoencoders, pyramids, folded U-Nets, dropout that stays on.

Comes in: sizes as plain values. Goes out: `torch.nn.Module` classes, and a trained network made ready for scoring. It
imports torch and no other folder of learning: slices, volumes and the loop use networks, not the other way.
"""
