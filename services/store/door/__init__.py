"""What the IMAP and POP3 doors have in common: the port, TLS, limits before login, and who is let in."""
