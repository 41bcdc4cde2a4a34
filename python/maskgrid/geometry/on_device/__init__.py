"""The plain torch twin of the Rust core: the same functions as tensor operations on the tensor's own device.

It serves masks and sheets that live on a GPU, which Rust never touches, and it is what the Rust core is
checked
against: it reads like the definitions. `import maskgrid` does not import it.

- `masks`: threshold, invert, grow, shrink, feather, fill_holes, bounding_box
- `coverage`: latent masks of single cells and of the whole sheet
- `canvas`: tile, split, cell_view, join, merge, paste
- `grid`: where cells and windows lie, in plain Python
- `arguments`: numbers and names; `elements`: the number types of masks; `sheets`: the axis orders of sheets
"""
