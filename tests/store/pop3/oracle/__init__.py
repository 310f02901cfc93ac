"""Our POP3 beside Dovecot's: the same commands on the same letters, the answers compared by what they mean."""
