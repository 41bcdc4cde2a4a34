"""Sampling: noise tables, schedules, samplers, the masked blend, forks. Knows torch and no model library."""
