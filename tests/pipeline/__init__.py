"""Whole services as processes on real servers. Each test states its rule, and ends with the ledger."""
