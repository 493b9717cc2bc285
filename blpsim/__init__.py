"""Monte Carlo studies of BLP demand estimation."""
