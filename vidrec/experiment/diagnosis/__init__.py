"""Why is my accuracy low? A user's data and run beside what the reference expects.

`diagnose` looks for what goes wrong most often, and says what to do:

    data.py      frame counts, class order, videos on both sides of the split
    flow.py      codes, bound, sign, x and y, flow that is of other frames
    training.py  batch normalisation, learning rates, the test's protocol
"""
