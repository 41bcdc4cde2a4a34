"""`python -m maskgrid`: the command line."""

from maskgrid.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
