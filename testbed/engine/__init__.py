"""The only package that talks to Docker and compose; plain values in and out."""
