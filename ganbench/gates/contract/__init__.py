"""The contract of models as a list of facts, checked on tiny random data: what `ganbench test` and the tests share."""
