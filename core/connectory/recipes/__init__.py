"""Recipes: what comes from where and where it goes, and the sync that accounts for every row."""
