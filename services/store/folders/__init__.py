"""What a person may do with his folders and the letters in them. The IMAP and POP3 doors call it."""
