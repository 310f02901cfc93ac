"""Takes a letter over SMTP; when it says 250, the letter is on the bus."""
