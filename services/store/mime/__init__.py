"""What a letter is made of, as IMAP tells it: structure, envelope, sections, text. Pure, and total over bytes.

Strangers write what is read here. Nothing raises, every step is linear in what it reads, and what could grow (depth,
parts, headers) is capped in parts.py. Where RFC 9051 leaves it open, the answer is the one Dovecot 2.3 gives: that is
what mail programs are used to.
"""
