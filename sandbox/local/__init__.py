"""The platform on one machine: Kubernetes nodes without Docker, the images they run, and the cloud that is not there."""
