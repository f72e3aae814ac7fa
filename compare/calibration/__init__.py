"""Calibration: leverage models fitted on pairs of public aggregates and exact positions of the same moment."""
