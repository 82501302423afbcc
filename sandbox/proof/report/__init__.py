"""What a proof found, for people: a page, tables for the terminal, and the README's numbers."""
