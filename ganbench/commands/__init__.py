"""The verbs of the command line, one module each; `ganbench.cli` attaches every module here that has no underscore."""
