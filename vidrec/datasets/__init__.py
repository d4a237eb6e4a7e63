"""Data sets: where their videos lie, what they are labelled and how they are split."""
