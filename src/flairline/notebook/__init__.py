"""The verbs of `import flairline as fl`: what the commands do, for a notebook or a script.

Comes in: paths, arrays, images of nibabel, cases. Goes out: objects of the library, and files only where `out` or
`save` says. It imports no command and prints nothing; every function loads what it needs when it is called.
"""
