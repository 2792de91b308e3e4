"""Pictures that jobs draw: grids of samples, and views of what a model does with test events."""
