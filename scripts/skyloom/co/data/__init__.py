"""Raw maps to labelled examples: tiles, regions, patches, training examples."""
