"""Pictures: sheets and stencils read and written, contact sheets, the picture of a plan."""
