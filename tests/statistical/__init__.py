"""Published Monte Carlo studies beside those that blpsim reproduces."""
