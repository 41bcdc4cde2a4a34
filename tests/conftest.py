"""Settings of all tests. Its place also puts `strategies` on the path."""

from hypothesis import settings

settings.register_profile("maskgrid", deadline=None, max_examples=100, print_blob=True)
# For a search by hand: pytest --hypothesis-profile=thorough
settings.register_profile("thorough", settings.get_profile("maskgrid"), max_examples=5000)
settings.load_profile("maskgrid")
