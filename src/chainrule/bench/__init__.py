"""``chainrule bench``: training speed and latency beside whichever peers are installed.

No peer is a dependency: each is looked up by name, and skipped with a word where it is missing.
"""
