"""Keeps letters and shows them: intake, the mailbox, and its doors."""
