"""The platform, one package per layer. Nothing here imports `policy` or `sandbox` (import-linter holds it)."""
