"""Results come in; tables 1 to 4 and figures 2 to 4 of Meissen et al. 2021 go out, with the published values.

`published/tables.csv` holds what the paper printed, `published` reads it. It must not import report or cli.
"""
