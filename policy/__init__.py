"""The policy pack. It judges what a program declares and imports neither the program nor a provider SDK."""
