"""What a sync would do, seen before it does it: plans, and rehearsals."""
