"""How good and how fast: programs that print tables. They run the shipped pipeline with its defaults, strictly online."""
