"""The HTTP API: the mailbox for programs, and what an administrator needs to see and set."""
