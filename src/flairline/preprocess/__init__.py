"""From what a scanner or a table gives to a `Scan`: brain, grid, intensities. Small Scan -> Scan steps."""
