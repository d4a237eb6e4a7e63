"""Layers that several papers share. Each is registered, so that saved models find it."""
