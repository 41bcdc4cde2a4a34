"""Makes the documentation's website: gathers pages, writes the reference, checks what was built."""
