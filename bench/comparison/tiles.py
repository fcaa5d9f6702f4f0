"""Matrices as tiles and back."""


def tiles_of(matrix, m):
    """`[rows, cols]` -> `[tiles, m, m]`, tiles row-major."""
    rows, cols = matrix.shape
    return matrix.reshape(rows // m, m, cols // m, m).swapaxes(1, 2).reshape(-1, m, m)


def matrix_of(tiles, rows, cols):
    """The inverse of tiles_of."""
    m = tiles.shape[-1]
    return tiles.reshape(rows // m, cols // m, m, m).swapaxes(1, 2).reshape(rows, cols)
