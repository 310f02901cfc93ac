"""Tests mirror the tree. Real servers always: a test whose server is missing fails, it is never skipped."""
