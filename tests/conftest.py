"""Settings of all tests. Its place also puts `strategies` and `texts` on the path."""

from hypothesis import settings

# The same examples in every run, so that a failure is a change in the code.
settings.register_profile("maskgrid", deadline=None, max_examples=100, print_blob=True, derandomize=True)
# To search by hand: pytest --hypothesis-profile=thorough
settings.register_profile("thorough", settings.get_profile("maskgrid"), max_examples=1000, derandomize=False)
settings.load_profile("maskgrid")
