"""The stages of dvc.yaml: one independent script each, which reads params, calls the package and writes outputs."""
