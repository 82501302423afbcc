"""Attacks on the running sandbox: each made with every layer on, and again without the layer that stopped it."""
