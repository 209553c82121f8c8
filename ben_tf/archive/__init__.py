"""The official archive -> one checked patch pair at a time."""
