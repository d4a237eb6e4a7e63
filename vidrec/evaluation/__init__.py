"""From logits to numbers and figures: score files, fusion of streams, metrics and plots."""
