"""What the running sandbox does, asked by calling: calls, attacks, outages and rotations, each with its evidence."""
