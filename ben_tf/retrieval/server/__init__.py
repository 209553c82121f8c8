"""The search page and the interface for programs, on one port."""
