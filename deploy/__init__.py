"""How the product is put on machines. Nothing here knows what a letter is."""
