"""One module per control, each with a pure ``validate`` over decoded values."""
