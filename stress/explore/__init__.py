"""Explore schedules: one thread at a time runs, and a strategy decides at every point which one."""
