"""Jobs: a frozen spec goes in, one typed record comes out; executors say who runs them."""
