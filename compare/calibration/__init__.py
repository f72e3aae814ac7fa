"""Calibration: leverage models fitted on samples of public aggregates and exact positions of the same moment."""
