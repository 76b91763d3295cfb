"""Our speed and weight as ratios to programs written by hand: `python -m benchmarks --help`, docs/performance.md."""
