"""What measurements of the whole platform stand on."""
