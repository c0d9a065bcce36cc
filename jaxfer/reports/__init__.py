"""What people look at: the pages of runs, of sweeps and of evaluations, and their figures."""
