"""How a sheet becomes forks: regions, the loop over a solver, and how a run of forks goes and ends."""
