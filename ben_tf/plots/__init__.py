"""Charts for reports and notebooks, one module for each kind of question.

`style` holds the colours of classes and sensors and what all charts share;
`run` shows one run, `variants` several side by side, `labels` what the patches
are labelled with, `pixels` what they look like and `places` where they lie.

Every function returns a `style.Picture`: the bytes of an SVG, PNG or JPEG file,
which a notebook shows when it is the last value of a cell. `synthetic=True`
marks a chart, in the picture itself, as one of synthetic patches.
"""
