"""The parts of `bench_geometry.py`: one file for each question."""
