"""Plug-ins of somebody else. They import flairline; flairline finds them by their entry points."""
