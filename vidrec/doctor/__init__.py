"""Checks the user's machine and says what to type. It works where vidrec itself cannot."""
