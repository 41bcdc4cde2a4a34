"""Attacks on the native module under AddressSanitizer; `run.sh` builds the module for it and starts them."""
