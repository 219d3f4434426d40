"""Active checks, passive detection, and what follows from them."""
