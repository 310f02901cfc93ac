"""The services. They never import each other: they meet in the topics and in the mailbox."""
