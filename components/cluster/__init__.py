"""The EKS cluster of one region: control plane, nodes, add-ons, pod identities, Karpenter's AWS side."""
