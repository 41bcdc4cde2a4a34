"""The latents that come out of a run, and the file that holds them."""
