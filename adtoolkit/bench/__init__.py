"""Many searches from one file: the cells of a matrix, what they share, and how they are spread over processes and machines."""
