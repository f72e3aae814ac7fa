"""Validation: what a calibrated model is worth where its fit has not looked, beside everything that knows less."""
