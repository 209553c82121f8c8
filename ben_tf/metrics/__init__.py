"""Multi-label metrics: definitions, streaming, exact, with intervals."""
