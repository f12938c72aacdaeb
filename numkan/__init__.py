"""numkan."""
