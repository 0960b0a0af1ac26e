"""What a run costs, by arithmetic: shape, parameters, FLOPs, hardware, energy. No torch."""
