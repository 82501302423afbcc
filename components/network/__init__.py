"""Networks of a region and between regions."""
