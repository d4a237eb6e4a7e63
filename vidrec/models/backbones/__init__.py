"""Image networks that the papers' models apply to frames and flow stacks."""
