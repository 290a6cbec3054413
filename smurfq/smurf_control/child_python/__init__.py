"""The folder that an operation puts first on its children's ``PYTHONPATH``; it holds ``sitecustomize`` only."""
