"""Formal proofs of the selector path: selector, window and thread mapper. Run them with ``python -m tests.formal``."""
