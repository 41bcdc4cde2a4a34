"""Settings of all tests. Its place also puts `strategies` on the path."""

from hypothesis import settings

settings.register_profile("maskgrid", deadline=None, max_examples=100, print_blob=True)
settings.load_profile("maskgrid")
