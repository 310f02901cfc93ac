"""POP3 (RFC 1939, 2449, 2595, 3206, 5034, 6856): INBOX as it was at login, for programs that fetch and delete."""
