"""Operations with one right answer, in blocks that fit memory: distances, kernels, transport, projections."""
