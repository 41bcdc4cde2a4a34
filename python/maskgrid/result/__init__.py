"""What a run gives: forks as pictures, the folder they are saved in, and its manifest."""
