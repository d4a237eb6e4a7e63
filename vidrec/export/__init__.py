"""Trained models as SavedModels, and predictions from them on video files."""
