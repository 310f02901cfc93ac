"""Mail programs that people use, each behind what the tests ask of it: what is in INBOX, and delete this.

They block: call them in a thread where the tests' own servers must go on.
"""
