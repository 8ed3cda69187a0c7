"""What `scripts/package` does with Python: build, zip, check and list the functions.

The standard library only, except `sbom`.
"""
