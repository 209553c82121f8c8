"""Content-based retrieval: find the patches that look like this one."""
