"""What makes a demo alive."""
