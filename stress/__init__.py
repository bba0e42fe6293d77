"""The stress harness: it hunts for races in the engine, measures them, and says what it saw.

``python -m stress`` is the main job; ``python -m stress --help`` teaches the rest.
"""
