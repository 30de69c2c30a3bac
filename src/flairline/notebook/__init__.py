"""The verbs of `import flairline as fl`: what the commands do, for a notebook or a script.

In come paths, arrays and cases; out come objects of the library. Nothing is printed, and nothing is written but where
`out` or `save` says. Every function loads what it needs when it is called. No other package imports these modules.
"""
