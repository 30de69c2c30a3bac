"""The command line: one file a command; each parses, loads, calls the library and prints.

Comes in: words of a shell. Goes out: files under -o, lines on the terminal, an exit code. Nothing imports from here.
"""
