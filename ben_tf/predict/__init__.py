"""Labels for new images: patches, an archive, a split, or a whole scene."""
