"""Containers: what the servers beside the services are told, and the steps that set them up (docs/containers.md)."""
