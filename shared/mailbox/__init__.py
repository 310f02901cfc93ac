"""The mailbox's collections. The only place that knows the MongoDB driver.

Each move of a letter is one function here, one document, one compare-and-set. Every function raises
`MailboxUnavailable` where the database does not answer; what it was asked may then have happened or not.
"""
