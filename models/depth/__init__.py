"""How far away every pixel is, from one picture."""
