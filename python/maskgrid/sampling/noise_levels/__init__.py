"""What a model means by noise: the noise table, the betas behind it, and the schedules of sigmas."""
