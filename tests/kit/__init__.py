"""What tests stand on: real servers, the product as processes, main servers of every temper, and the ledger."""
