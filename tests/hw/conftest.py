"""Lets the tests of every folder below import the helpers that lie here."""
