"""The static site: every board, model and metric as pages that fetch nothing, with the documentation beside them."""
