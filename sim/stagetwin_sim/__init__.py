"""How a twin behaves: process models, fleets, rigid bodies, learning, prediction.

Models are found by the core through entry points in the group `stagetwin.models`.
"""
