"""The same functions as those of the Rust core, as plain torch operations on the tensor's own device.

They serve masks and sheets that live on a GPU, which Rust never touches, and they are what the Rust core is
checked against: they read like the definitions. `import maskgrid` does not import them.

- `pixel_masks`: threshold, invert, grow, shrink, feather, fill_holes, bounding_box
- `latent_coverage`: masks at latent size of single cells and of the whole sheet, noise masks
- `canvas`: tile, split, cell_view, join, merge, paste
- `plain_grid`: where cells and windows lie, in plain Python
- `argument_checks`: numbers and names; `mask_values`: the number types of masks; `sheet_axes`: the axis
  orders of sheets
"""
