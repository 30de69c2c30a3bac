"""Networks and what is done to them: autoencoders, pyramids, folded U-Nets, drawn dropout, frozen copies.

Architectures as plain values come in, torch modules go out. They know neither scans nor training.
"""
