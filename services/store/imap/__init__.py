"""The IMAP door: a mailbox as mail programs read it (RFC 9051, RFC 3501 and the extensions that CAPABILITY names)."""
