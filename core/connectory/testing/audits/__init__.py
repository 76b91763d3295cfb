"""Whether the tests of a spec bite: planted mistakes, coverage, and drift of what the vendor answers."""
