"""The pictures that `ganbench.pictures.views` draws, in words; apart from it so that a page is made without torch."""

CAPTIONS = {  # kind, which is also the name of the file -> what it shows
    "reconstructions": "Reconstructions: test images above, what the model makes of them below.",
    "interpolations": "Interpolations: from left to right on the straight line between two codes, decoded.",
    "traversals": "Traversals: one number of a test image's code varied in each row, those that vary most first.",
    "variations": "Codes: along each row one code changes, all else is held; the model's header says which.",
    "tangents": "Tangents: a test image in front, then its tangent vectors; grey is no change.",
    "translations": "Translations: sources, what the model makes of them, the truth.",
    "enlargements": "Enlargements: small images, cubic interpolation, the model's, the truth.",
    "cycles": "Cycles: sources, their translations, and these translated back.",
    "captioned": "Captions of test images, each with images that the model draws for it.",
    "edits": "Edits: a test image, the model's version of it, then each attribute in turn turned over.",
    "inpainting": "Inpainting: test images, their upper halves, and two completions of the lower halves.",
}
