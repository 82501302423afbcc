"""Providers that act on running clusters, in place of the stand-ins that only record.

They serve the same protocol as `sandbox.standin` and are chosen when `ZEROTRUST_SANDBOX` names what is running. They touch
nothing else: a provider whose kubeconfig does not lead to one of the sandbox's own clusters is refused.
"""
