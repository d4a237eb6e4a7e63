"""The smallest experiment that has everything in it."""

CONFIG = {
    "name": "tiny",
    "model": {"options": {"bn_momentum": 0.9, "dropout": 0.5}},
    "clip": {"segments": 3, "size": 71, "flow_length": 2},
    "data": {
        "synthetic": {"groups": 2, "test_groups": 1, "clips": 1, "frames": 6, "size": 72},
        "split": {"name": "listed-1"},
    },
    "streams": {
        "spatial": {
            "stages": [
                {"name": "head", "layers": "head", "epochs": 1, "batch_size": 4,
                 "schedule": {"rate": 0.01}},
                {"name": "all", "epochs": 2, "batch_size": 4, "schedule": {"rate": 0.001},
                 "optimizer": {"name": "adam"}},
            ]
        },
        "temporal": {
            "init": {"run": "spatial"},
            "stages": [
                {"name": "all", "epochs": 1, "batch_size": 4, "schedule": {"rate": 0.001}}
            ],
        },
    },
    "evaluation": {"draws": 2, "batch_size": 4, "each_epoch": True},
}  # fmt: skip
