"""The parameters of TV-L1, OpenCV's defaults, which all who compute it here share."""

PARAMETERS = {
    "tau": 0.25,  # step of the dual variables
    "lambda": 0.15,  # weight of the data term
    "theta": 0.3,  # tightness of the coupling
    "scales": 5,
    "scale_step": 0.8,
    "warps": 5,
    "epsilon": 0.01,  # px, mean change at which iterations stop
    "inner": 30,
    "outer": 10,
    "median": 5,
}
SMALLEST = 16  # px, no pyramid level is smaller
TINY = 1e-30  # stands for a squared gradient of 0, where it divides
