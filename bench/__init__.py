"""Benchmarks: each measures both sides in one run, so that its ratios hold on a busy machine."""
