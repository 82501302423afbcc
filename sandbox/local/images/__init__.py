"""Images that the sandbox's nodes run, built on this machine as OCI archives; no registry is asked."""
